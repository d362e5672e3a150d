/** What the scripts share: where the project is, what its sources hash to, and how a step is run. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Files below a path of the project, sorted, as paths from the project's root. */
export function filesBelow(path) {
  if (!existsSync(join(root, path))) return [];
  if (statSync(join(root, path)).isFile()) return [path];
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length))
    .sort();
}

/** SHA-256 over names and contents of files and folders, and over anything else that `salt` names. */
export function hashOf(paths, ...salt) {
  const hash = createHash('sha256').update(JSON.stringify(salt));
  for (const file of paths.flatMap(filesBelow)) {
    const content = readFileSync(join(root, file));
    hash.update(`\0${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** Content of a small file, or undefined. */
export const readIf = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);

/** A tool from node_modules, run by this very Node: `tool('typescript', 'bin/tsc')`. */
export const tool = (name, path) => join(root, 'node_modules', name, path);

/** Runs a program in the project's root; its exit code, or 1 when a signal ended it. */
export function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  return status ?? 1;
}

/** Whether this file is the program, and not imported by another. */
export const isProgram = (meta) => meta.filename === realpathSync(process.argv[1] ?? '.');
