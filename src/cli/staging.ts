/** Directories of one process, named after it, so that the next one can remove those of processes that were killed: there are keys in them. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './process.ts';

const prefixes = { staging: '.alliance-staging-', demo: 'alliance-demo-' } as const;

/** For work that is moved to its place by a rename at the end; beside that place, as renames stay on one file system. */
export const openStaging = (parent: string): string => openOwn(parent, prefixes.staging);

/** For the homes of a demo. */
export const openDemoRoot = (): string => openOwn(tmpdir(), prefixes.demo);

export const removeStaleStaging = (parent: string): void => removeStale(parent, prefixes.staging);

/** A new one, mode 0700, which this process removes. */
function openOwn(parent: string, prefix: string): string {
  removeStale(parent, prefix);
  return mkdtempSync(join(parent, `${prefix}${process.pid}-`));
}

function removeStale(parent: string, prefix: string): void {
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(prefix) && /^(\d+)-[A-Za-z0-9]+$/.exec(name.slice(prefix.length))?.[1];
    const path = join(parent, name);
    if (pid && !isAlive(Number(pid)) && isOwn(path)) removeIfPossible(path);
  }
}

/** In a directory that everybody may write to, others make what they like; whoever removes that may be led to something else meanwhile. */
function isOwn(path: string): boolean {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  return facts?.isDirectory() === true && facts.uid === (process.getuid?.() ?? facts.uid);
}

/** What is left over from another time keeps nobody from working. */
function removeIfPossible(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // The next start tries again.
  }
}
