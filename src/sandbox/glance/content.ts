/** Bytes of images: in memory, and from a size on in files. */
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Received {
  readonly size: number;
  readonly checksum: string;
  readonly sha512: string;
}

interface Content {
  readonly size: number;
  /** The bytes, or the path of a file with them. */
  readonly where: readonly Buffer[] | string;
}

export interface ContentOptions {
  /** For files; absent: a temporary directory, made when the first is needed. */
  readonly directory?: string;
  /** What an image may have in memory. */
  readonly memoryBytes: number;
}

export class Contents {
  readonly #options: ContentOptions;
  readonly #contents = new Map<string, Content>();
  readonly #receiving = new Set<Promise<Received>>();
  #temporary: string | undefined;
  #files = 0;

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
    let file: { readonly path: string; readonly handle: FileHandle } | undefined;
    try {
      for await (const piece of source) {
        md5.update(piece);
        sha512.update(piece);
        size += piece.length;
        pieces.push(piece);
        if (!file && size <= this.#options.memoryBytes) continue;
        file ??= await this.#newFile();
        await file.handle.writev(pieces.splice(0));
      }
    } catch (error) {
      if (file) await rm(file.path, { force: true });
      throw error;
    } finally {
      await file?.handle.close();
    }
    await this.remove(id);
    this.#contents.set(id, { size, where: file ? file.path : pieces });
    return { size, checksum: md5.digest('hex'), sha512: sha512.digest('hex') };
  }

  /** Bytes from `start` to before `end`; null where there are none of this image. */
  read(id: string, start: number, end: number): AsyncIterable<Buffer> | null {
    const content = this.#contents.get(id);
    if (!content) return null;
    if (typeof content.where === 'string')
      return start < end
        ? createReadStream(content.where, { start, end: end - 1, highWaterMark: 256 * 1024 })
        : slices([], 0, 0);
    return slices(content.where, start, end);
  }

  async remove(id: string): Promise<void> {
    const content = this.#contents.get(id);
    this.#contents.delete(id);
    if (typeof content?.where === 'string') await rm(content.where, { force: true });
  }

  /** Once every source has ended. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#receiving);
    for (const id of [...this.#contents.keys()]) await this.remove(id);
    if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true });
  }

  async #newFile() {
    this.#temporary ??=
      this.#options.directory === undefined ? mkdtempSync(join(tmpdir(), 'alliance-glance-')) : undefined;
    this.#files += 1;
    const path = join(this.#options.directory ?? this.#temporary!, `content-${process.pid}-${this.#files}`);
    return { path, handle: await open(path, 'wx', 0o600) };
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
