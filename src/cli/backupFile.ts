/**
 * The form of a backup, one file:
 *
 *     alliance-backup 1 <SHA-256 of the next line, hex>
 *     {"cloud_id": ..., "created_at": ..., "files": [{"path": ..., "size": ..., "sha256": ...}, ...]}
 *     <the content of each file, one right after the other>
 *
 * Paths are relative to the home directory. Checksums find damage, not forgery: keep a backup as safe as the keys that are in it.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';
import { printable } from './text.ts';

const magic = 'alliance-backup 1 ';
const maxManifestBytes = 1024 * 1024;
const chunkBytes = 1024 * 1024;

const schema = z.strictObject({
  cloud_id: z.string(),
  created_at: z.string(),
  version: z.string(),
  files: z
    .array(
      z.strictObject({
        path: z.string().refine(isInside),
        size: z.int().min(0),
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .refine((files) => new Set(files.map(({ path }) => path)).size === files.length),
});

/** No way out of the directory that it is unpacked to. */
function isInside(path: string): boolean {
  const usual = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  return usual && !/\p{Cc}/u.test(path);
}

export type Manifest = z.output<typeof schema>;

export interface PackedFile {
  /** Its path in the backup. */
  readonly path: string;
  /** Where its content is. */
  readonly source: string;
}

const damaged = (path: string, details: string): AllianceError =>
  new AllianceError('database_corrupt', { details: `${path}: ${details}` });

/** Chunks of a file from `position`, at most `size` bytes. */
function* chunksOf(fd: number, position: number, size: number): Generator<Buffer> {
  const buffer = Buffer.alloc(Math.min(chunkBytes, Math.max(size, 1)));
  for (let done = 0; done < size; ) {
    const read = readSync(fd, buffer, 0, Math.min(buffer.length, size - done), position + done);
    if (read === 0) return;
    done += read;
    yield buffer.subarray(0, read);
  }
}

function withFile<T>(path: string, flags: string, mode: number, work: (fd: number) => T): T {
  const fd = openSync(path, flags, mode);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

function describe({ path, source }: PackedFile): Manifest['files'][number] {
  const { size } = statSync(source);
  const hash = createHash('sha256');
  withFile(source, 'r', 0, (fd) => {
    for (const chunk of chunksOf(fd, 0, size)) hash.update(chunk);
  });
  return { path, size, sha256: hash.digest('hex') };
}

/** Writes `target`, which is not there yet, mode 0600. The sources must not change meanwhile. Throws `configuration`. */
export function writeBackup(target: string, facts: Omit<Manifest, 'files'>, files: readonly PackedFile[]): Manifest {
  const manifest: Manifest = { ...facts, files: files.map(describe) };
  if (!schema.safeParse(manifest).success)
    throw new AllianceError('configuration', {
      details: `Some of these names of files cannot be restored: ${files.map(({ path }) => printable(path)).join(', ')}.`,
    });
  const text = JSON.stringify(manifest);
  withFile(target, 'wx', 0o600, (fd) => {
    writeSync(fd, `${magic}${createHash('sha256').update(text).digest('hex')}\n${text}\n`);
    for (const [index, { source }] of files.entries())
      withFile(source, 'r', 0, (from) => {
        for (const chunk of chunksOf(from, 0, manifest.files[index]!.size)) writeSync(fd, chunk);
      });
    fsyncSync(fd);
  });
  return manifest;
}

/** Checks the whole backup and unpacks it into `directory`, every file with mode 0600. `database_corrupt` if it is damaged. */
export function unpackBackup(path: string, directory: string): Manifest {
  return withFile(path, 'r', 0, (fd) => {
    const { manifest, start } = readManifest(path, fd);
    let position = start;
    for (const file of manifest.files) {
      const target = join(directory, file.path);
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      const hash = createHash('sha256');
      withFile(target, 'wx', 0o600, (to) => {
        for (const chunk of chunksOf(fd, position, file.size)) {
          hash.update(chunk);
          writeSync(to, chunk);
        }
        fsyncSync(to);
      });
      if (hash.digest('hex') !== file.sha256) throw damaged(path, `${file.path} is damaged or cut short.`);
      position += file.size;
    }
    if (statSync(path).size !== position) throw damaged(path, 'There are bytes after its end.');
    return manifest;
  });
}

function readManifest(path: string, fd: number): { manifest: Manifest; start: number } {
  const head = Buffer.concat([...chunksOf(fd, 0, maxManifestBytes)].map((chunk) => Buffer.from(chunk)));
  const firstEnd = head.indexOf('\n');
  const secondEnd = head.indexOf('\n', firstEnd + 1);
  const first = head.toString('latin1', 0, Math.max(firstEnd, 0));
  if (!first.startsWith(magic)) throw damaged(path, 'This is no backup of an Alliance broker.');
  const text = head.subarray(firstEnd + 1, Math.max(secondEnd, 0));
  const sum = createHash('sha256').update(text).digest('hex');
  if (secondEnd < 0 || first.slice(magic.length) !== sum) throw damaged(path, 'Its list of files is damaged.');
  const manifest = schema.safeParse(JSON.parse(text.toString('utf8')));
  if (!manifest.success) throw damaged(path, 'Its list of files is none.');
  return { manifest: manifest.data, start: secondEnd + 1 };
}
