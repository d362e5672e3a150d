/**
 * Looks at the bytes of an image on their way, before anything can be made of it: a disk image may name other files, which a hypervisor
 * would then read, and one that says to be of another format than it is may be opened as what it really is. Pure; keeps a few KiB of the
 * stream, of a VHDX up to a MiB.
 */
import { AllianceError } from '../../core/errors.ts';
import { inspectionLimits } from '../../core/limits.ts';
import { checkOf } from './diskFormats.ts';
import type { Check } from './diskParts.ts';

export interface Inspector {
  /** The next bytes of the content. They are not kept. @throws AllianceError image_unsafe */
  push(bytes: Uint8Array): void;
  /** There are no more. Only now is the image known to be good. @throws AllianceError image_unsafe */
  end(): void;
}

/**
 * @param diskFormat as Glance's `disk_format`
 * @throws AllianceError image_unsafe for a format that nobody here can look into
 */
export function createInspector(diskFormat: string | null): Inspector {
  const check = checkOf(diskFormat);
  if (!check) {
    const details = `The disk_format ${JSON.stringify(diskFormat)} cannot be examined.`;
    throw new AllianceError('image_unsafe', { field: 'disk_format', details });
  }
  return new StreamInspector(check());
}

/**
 * The same content, looked at before it is passed on: the last piece leaves only when all of it was found good, so whoever stores it never
 * has the whole of a bad one.
 *
 * @throws AllianceError image_unsafe
 */
export async function* inspected(
  content: AsyncIterable<Buffer>,
  { diskFormat, sizeBytes }: { readonly diskFormat: string | null; readonly sizeBytes: number },
): AsyncGenerator<Buffer, void, undefined> {
  const inspector = createInspector(diskFormat);
  let at = 0;
  if (sizeBytes === 0) inspector.end();
  for await (const bytes of content) {
    inspector.push(bytes);
    const before = at;
    at += bytes.length;
    if (before < sizeBytes && at >= sizeBytes) inspector.end();
    yield bytes;
  }
}

/** Feeds one check with the parts of the stream that it asks for. */
class StreamInspector implements Inspector {
  readonly #check: Check;
  readonly #tail = Buffer.alloc(inspectionLimits.tailBytes);
  #tailBytes = 0;
  #at = 0;
  /** What the check waits for; undefined: it has seen enough. */
  #wanted: { readonly offset: number; readonly bytes: Buffer; filled: number } | 'tail' | undefined;

  constructor(check: Check) {
    this.#check = check;
    this.#take(check.next());
  }

  push(bytes: Uint8Array): void {
    const begin = this.#at;
    this.#at += bytes.length;
    this.#keepTail(bytes);
    while (this.#wanted && this.#wanted !== 'tail') {
      const wanted = this.#wanted;
      const from = wanted.offset + wanted.filled - begin;
      if (from >= bytes.length) return;
      const part = bytes.subarray(from, from + wanted.bytes.length - wanted.filled);
      wanted.bytes.set(part, wanted.filled);
      wanted.filled += part.length;
      if (wanted.filled < wanted.bytes.length) return;
      this.#take(this.#check.next({ bytes: wanted.bytes, sizeBytes: begin + from + part.length }));
    }
  }

  end(): void {
    // What is asked for now is beyond the end: the check gets what there is, and says whether that will do.
    while (this.#wanted) {
      const wanted = this.#wanted;
      const bytes =
        wanted === 'tail' ? this.#tail.subarray(0, this.#tailBytes) : wanted.bytes.subarray(0, wanted.filled);
      this.#take(this.#check.next({ bytes, sizeBytes: this.#at }));
    }
  }

  /** A check asks for parts in the order of the stream, the tail last. */
  #take({ done, value }: ReturnType<Check['next']>): void {
    if (done) this.#wanted = undefined;
    else if (value === 'tail') this.#wanted = 'tail';
    else this.#wanted = { offset: value.offset, bytes: Buffer.alloc(value.lengthBytes), filled: 0 };
  }

  #keepTail(bytes: Uint8Array): void {
    const tail = this.#tail;
    if (bytes.length >= tail.length) {
      tail.set(bytes.subarray(bytes.length - tail.length));
      this.#tailBytes = tail.length;
      return;
    }
    const kept = Math.min(this.#tailBytes, tail.length - bytes.length);
    tail.copyWithin(0, this.#tailBytes - kept, this.#tailBytes);
    tail.set(bytes, kept);
    this.#tailBytes = kept + bytes.length;
  }
}
