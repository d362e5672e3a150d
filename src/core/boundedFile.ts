/**
 * Files that somebody names, read up to a bound. Whoever names a pipe, a device or the wrong file gets an error, and not a process that
 * hangs or fills the memory. Those that a broker reads again while it runs have to be regular files, for it would stand still before a
 * pipe. Those of a command line may be pipes and devices, too: `<(pass show nova)`, `/dev/stdin`.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from './errno.ts';
import { fileLimits } from './limits.ts';

/** A file that is there and cannot be used; the message says why, in words that fit into parentheses. */
class UnfitFile extends Error {}

/** Why a file could not be read: `ENOENT`, `no regular file`, `larger than 64 KiB`. */
export const whyUnread = (error: unknown): string => (error instanceof UnfitFile ? error.message : errnoOf(error));

const sizeOf = (bytes: number): string => (bytes < 2 ** 20 ? `${bytes / 2 ** 10} KiB` : `${bytes / 2 ** 20} MiB`);
const tooLarge = (mostBytes: number): UnfitFile => new UnfitFile(`larger than ${sizeOf(mostBytes)}`);

/** How long a pipe is waited for, see `fileLimits`. */
interface Waits {
  readonly writerMs: number;
  readonly silenceMs: number;
}

/** Without waiting for who writes to a pipe. */
const flags = constants.O_RDONLY | constants.O_NONBLOCK;

/** A file descriptor, for the caller to close. */
function openRegularFile(path: string): number {
  const fd = openSync(path, flags);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new UnfitFile('no regular file');
}

/** The text of a regular file, and its mode at that moment. */
export function readRegularFile(path: string, mostBytes: number): { readonly text: string; readonly mode: number } {
  const { bytes, mode } = readRegularBytes(path, mostBytes);
  return { text: bytes.toString('utf8'), mode };
}

/** The same as bytes, for those who have to know whether they are text. */
export function readRegularBytes(path: string, mostBytes: number): { readonly bytes: Buffer; readonly mode: number } {
  const fd = openRegularFile(path);
  try {
    const buffer = Buffer.allocUnsafe(mostBytes + 1);
    let size = 0;
    // A file may grow meanwhile, and some say that they have no size; only what is read counts.
    for (let read = -1; read !== 0 && size < buffer.length; size += read)
      read = readSync(fd, buffer, size, buffer.length - size, null);
    if (size > mostBytes) throw tooLarge(mostBytes);
    return { bytes: buffer.subarray(0, size), mode: fstatSync(fd).mode };
  } finally {
    closeSync(fd);
  }
}

/** The text of a file, or all that comes out of a pipe or device. */
export async function readAnyFile(path: string, mostBytes: number, waits: Waits = fileLimits): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(path, waits)) {
    size += chunk.length;
    if (size > mostBytes) throw tooLarge(mostBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The lines of a file of any length, pipe or device; none is longer than `mostBytes`. */
export async function* readLines(path: string, mostBytes: number): AsyncGenerator<string> {
  let line: Buffer[] = [];
  let size = 0;
  const take = (part: Buffer): void => {
    size += part.length;
    if (size > mostBytes) throw new UnfitFile(`a line of it is longer than ${sizeOf(mostBytes)}`);
    line.push(part);
  };
  const end = (): string => {
    const text = Buffer.concat(line).toString('utf8').replace(/\r$/, '');
    [line, size] = [[], 0];
    return text;
  };
  for await (const chunk of chunksOf(path, fileLimits)) {
    let from = 0;
    for (let at = chunk.indexOf('\n'); at >= 0; at = chunk.indexOf('\n', from)) {
      take(chunk.subarray(from, at));
      yield end();
      from = at + 1;
    }
    take(chunk.subarray(from));
  }
  if (size > 0) yield end();
}

async function* chunksOf(path: string, { writerMs, silenceMs }: Waits): AsyncGenerator<Buffer> {
  const file = await open(path, flags);
  try {
    const isPipe = (await file.stat()).isFIFO();
    let begun = false;
    let since = performance.now();
    for (;;) {
      const chunk = await readSome(file);
      if (chunk && chunk.length > 0) {
        yield chunk;
        begun = true;
        since = performance.now();
        continue;
      }
      // A pipe that nobody has opened to write looks like one that has come to its end.
      const isEmpty = chunk !== undefined;
      if (isEmpty && (begun || !isPipe)) return;
      if (performance.now() - since > (isEmpty ? writerMs : silenceMs))
        throw new UnfitFile(isEmpty ? 'nobody writes to it' : 'nothing comes out of it');
      await delay(fileLimits.pollMs);
    }
  } finally {
    await file.close();
  }
}

/** Empty at the end; undefined when there is nothing yet. */
async function readSome(file: FileHandle): Promise<Buffer | undefined> {
  try {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(fileLimits.chunkBytes));
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN') return undefined;
    throw error;
  }
}
