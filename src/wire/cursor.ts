/** The bytes of one message and a place in them. Every length is checked against what is left before anything is made of it. */
import { isUtf8 } from 'node:buffer';
import { wireLimits } from '../core/limits.ts';
import { malformed } from './compactTypes.ts';

/** Below this a binary is copied, so that it does not keep a whole chunk of the socket alive; above, copying costs more. */
const copyBelowBytes = 65_536;
/** Up to this length joining characters is quicker than a call into the runtime (measured: equal at about 12). */
const shortStringBytes = 12;

const noBytes = Buffer.alloc(0) as SliceableBuffer;

/** What `toString('utf8', begin, end)` ends in, without its checks of an encoding and two bounds that are known to be right. */
type SliceableBuffer = Buffer & { utf8Slice(begin: number, end: number): string };

export class ByteCursor {
  #buffer = noBytes;
  #at = 0;
  #end = 0;
  #lastName = '';

  /** Offset of the next byte in the buffer given to `reset`. */
  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Goes back to where a struct was about to begin. */
  rewind(position: number): void {
    this.#at = position;
  }

  readDouble(): number {
    return this.#buffer.readDoubleLE(this.advance(8));
  }

  readString(): string {
    return this.text(this.length());
  }

  protected text(length: number): string {
    const at = this.advance(length);
    if (length <= shortStringBytes) {
      const short = shortAscii(this.#buffer, at, length);
      if (short !== undefined) return short;
    }
    const text = this.#buffer.utf8Slice(at, at + length);
    // Decoding puts U+FFFD where bytes are no UTF-8; only then is a second look needed.
    if (text.includes('\ufffd') && !isUtf8(this.#buffer.subarray(at, at + length)))
      throw malformed('A string is not UTF-8.');
    return text;
  }

  /** A text that is mostly the same as the last one: then it is that very string, so that nobody makes, hashes or compares another. */
  protected name(length: number): string {
    if (!this.#isAhead(this.#lastName, length)) this.#lastName = this.text(length);
    else this.advance(length);
    return this.#lastName;
  }

  /** Whether the next bytes are this text and ASCII. */
  #isAhead(text: string, length: number): boolean {
    if (text.length !== length || length > this.remaining) return false;
    for (let i = 0; i < length; i++) {
      const byte = this.#buffer[this.#at + i] as number;
      if (byte !== text.charCodeAt(i) || byte > 0x7f) return false;
    }
    return true;
  }

  readBinary(): Buffer {
    const length = this.length();
    const at = this.advance(length);
    const bytes = this.#buffer.subarray(at, at + length);
    return length < copyBelowBytes ? Buffer.from(bytes) : bytes;
  }

  /** Starts over on the bytes from start to end. */
  protected over(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer as SliceableBuffer;
    this.#at = start;
    this.#end = end;
  }

  protected byte(): number {
    if (this.#at >= this.#end) throw malformed('The message is cut off.');
    return this.#buffer[this.#at++] as number;
  }

  /** Moves on by so many bytes that are there, and returns where they begin. */
  protected advance(sizeBytes: number): number {
    const at = this.#at;
    if (sizeBytes > this.#end - at) throw malformed('The message is cut off.');
    this.#at = at + sizeBytes;
    return at;
  }

  protected length(): number {
    const length = this.varint32();
    if (length > wireLimits.stringBytes) throw malformed('A string is too long.');
    return length;
  }

  protected varint32(): number {
    let value = this.byte();
    if (value < 0x80) return value;
    value &= 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (shift === 28 && byte > 0x0f) break;
        return value >>> 0;
      }
    }
    throw malformed('An integer is longer than 32 bits.');
  }
}

/** The text, or undefined when a byte is not ASCII. Four at a time: each join makes a string. */
function shortAscii(buffer: Buffer, begin: number, length: number): string | undefined {
  const end = begin + length;
  let text = '';
  let at = begin;
  for (; at + 4 <= end; at += 4) {
    const a = buffer[at] as number;
    const b = buffer[at + 1] as number;
    const c = buffer[at + 2] as number;
    const d = buffer[at + 3] as number;
    if ((a | b | c | d) > 0x7f) return undefined;
    text += String.fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    const byte = buffer[at] as number;
    if (byte > 0x7f) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}
