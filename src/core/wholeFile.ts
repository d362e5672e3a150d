/** Files that are written whole or not at all, for their owner to read. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from './errno.ts';

/** Replaces what is there; a crash leaves the old content or the new, never a part. Throws system errors. */
export function writeWhole(path: string, text: string, mode: number): void {
  place(path, text, mode, (temporary) => renameSync(temporary, path));
}

/** The same for a file that others keep, too: one that is there keeps mode and owner, and a link stays one. */
export function rewriteWhole(path: string, text: string, newMode: number): void {
  const target = existsSync(path) ? realpathSync(path) : path;
  const before = existsSync(target) ? statSync(target) : undefined;
  place(target, text, before ? before.mode & 0o7777 : newMode, (temporary) => renameSync(temporary, target), before);
}

/** The same as writeWhole, but never replaces what is there: false when there is something. */
export function createWhole(path: string, text: string, mode: number): boolean {
  try {
    // Unlike a rename, a link fails where there is a file, also one that another process makes at this moment.
    place(path, text, mode, (temporary) => linkSync(temporary, path));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function place(
  path: string,
  text: string,
  mode: number,
  put: (temporary: string) => void,
  like?: { readonly uid: number; readonly gid: number },
): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  const owner = like && process.getuid?.() === 0 ? like : ownerOf(dirname(path));
  try {
    const fd = openSync(temporary, 'wx', mode);
    try {
      writeFileSync(fd, text);
      if (owner) fchownSync(fd, owner.uid, owner.gid);
      // Past the umask, which is for new files.
      if (like) fchmodSync(fd, mode);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    put(temporary);
  } finally {
    rmSync(temporary, { force: true });
  }
  syncDirectory(dirname(path));
}

/** A new name in a directory outlives a power failure only once the directory is written too. */
function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** With whatever directories above it are missing; mode 0700. */
export function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  try {
    // Not `recursive`: with that Node never ends where a file system says ENOENT of a directory that is there, as /proc does.
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may make it at the same moment.
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  giveToOwner(path);
}

/** What root makes in the directory of another user is that user's, whose broker has to read it. */
export function giveToOwner(path: string, directory: string = dirname(path)): void {
  const owner = ownerOf(directory);
  if (owner) lchownSync(path, owner.uid, owner.gid);
}

/** Undefined where this process can give nothing away. */
function ownerOf(directory: string): { uid: number; gid: number } | undefined {
  return process.getuid?.() === 0 ? statSync(directory) : undefined;
}
