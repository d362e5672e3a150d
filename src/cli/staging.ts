/** Directories for work that is moved to its place by a rename at the end; beside that place, as renames stay on one file system. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from './process.ts';

const prefix = '.alliance-staging-';
const form = /^\.alliance-staging-(\d+)-[A-Za-z0-9]+$/;

/** A new one, mode 0700, named after this process, which removes it. */
export function openStaging(parent: string): string {
  removeStaleStaging(parent);
  return mkdtempSync(join(parent, `${prefix}${process.pid}-`));
}

/** Removes those of processes that were killed: there are keys in them. */
export function removeStaleStaging(parent: string): void {
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const pid = form.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true });
  }
}
