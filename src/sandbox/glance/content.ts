/**
 * Bytes of images: in memory, and from a size on in files. Those have no name any more as soon as they are open, so that nothing is left
 * of them however this process ends.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const readBytes = 256 * 1024;

export interface Received {
  readonly size: number;
  readonly checksum: string;
  readonly sha512: string;
}

interface Content {
  readonly size: number;
  /** The bytes, or a file with them. */
  readonly where: readonly Buffer[] | FileHandle;
}

export interface ContentOptions {
  /** For files; absent: that of the system for temporary ones. */
  readonly directory?: string;
  /** What an image may have in memory. */
  readonly memoryBytes: number;
}

export class Contents {
  readonly #options: ContentOptions;
  readonly #contents = new Map<string, Content>();
  readonly #receiving = new Set<Promise<Received>>();

  constructor(options: ContentOptions) {
    this.#options = options;
  }

  has(id: string): boolean {
    return this.#contents.has(id);
  }

  /** Takes all of `source`, no faster than it is stored; what was there before is replaced at its end. */
  receive(id: string, source: AsyncIterable<Buffer>): Promise<Received> {
    const receiving = this.#receive(id, source).finally(() => this.#receiving.delete(receiving));
    this.#receiving.add(receiving);
    return receiving;
  }

  async #receive(id: string, source: AsyncIterable<Buffer>): Promise<Received> {
    const [md5, sha512] = [createHash('md5'), createHash('sha512')];
    const pieces: Buffer[] = [];
    let size = 0;
    let file: FileHandle | undefined;
    try {
      for await (const piece of source) {
        md5.update(piece);
        sha512.update(piece);
        size += piece.length;
        pieces.push(piece);
        if (!file && size <= this.#options.memoryBytes) continue;
        file ??= await this.#newFile();
        await file.writev(pieces.splice(0));
      }
    } catch (error) {
      await file?.close();
      throw error;
    }
    await this.remove(id);
    this.#contents.set(id, { size, where: file ?? pieces });
    return { size, checksum: md5.digest('hex'), sha512: sha512.digest('hex') };
  }

  /** Bytes from `start` to before `end`; null where there are none of this image. */
  read(id: string, start: number, end: number): AsyncIterable<Buffer> | null {
    const content = this.#contents.get(id);
    if (!content) return null;
    return 'fd' in content.where ? fromFile(content.where, start, end) : slices(content.where, start, end);
  }

  async remove(id: string): Promise<void> {
    const content = this.#contents.get(id);
    this.#contents.delete(id);
    if (content && 'fd' in content.where) await content.where.close();
  }

  /** Once every source has ended. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#receiving);
    for (const id of [...this.#contents.keys()]) await this.remove(id);
  }

  async #newFile(): Promise<FileHandle> {
    const path = join(this.#options.directory ?? tmpdir(), `alliance-content-${randomUUID()}`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  }
}

/** A handle knows when it is closed, while the number of a file may be another's by then. */
async function* fromFile(file: FileHandle, start: number, end: number): AsyncIterable<Buffer> {
  for (let at = start; at < end; ) {
    const buffer = Buffer.allocUnsafe(Math.min(readBytes, end - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function* slices(pieces: readonly Buffer[], start: number, end: number): AsyncIterable<Buffer> {
  let at = 0;
  for (const piece of pieces) {
    const [from, to] = [Math.max(start - at, 0), Math.min(end - at, piece.length)];
    if (from < to) yield piece.subarray(from, to);
    at += piece.length;
    if (at >= end) return;
  }
}
