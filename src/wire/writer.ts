/**
 * Compact protocol, writing side, with the surface that generated code calls.
 *
 * Everything goes into one buffer that grows: no allocation per byte or varint. Frames written one after another leave together
 * by `take`. A misuse (wrong type, nesting too deep) is a TypeError, after which the caller rolls back to its mark.
 */
import { AllianceError } from '../core/errors.ts';
import { takeBuffer } from '../core/largeBuffers.ts';
import { wireLimits } from '../core/limits.ts';
import { compactFalse, compactTrue, compactTypeOf, protocolId, protocolVersion, ThriftType } from './compactTypes.ts';
import { Int64 } from './int64.ts';

const firstBufferBytes = 4096;
const largestBufferBytes = 32_768;
/** Room kept behind a large value, so that the end of its message does not make the buffer grow and copy the value again. */
const slackBytes = 512;
/** Up to this length a loop over character codes is quicker than a call into the runtime. */
const shortStringChars = 48;
/** A sealed frame also holds its type byte, the message's length and the tag. */
const sealOverheadBytes = 21;

const scratch = Buffer.alloc(8);

export class CompactWriter {
  /** Largest message that `endFrame` lets pass, bytes without the length. */
  maxFrameBytes: number = wireLimits.sealedFrameBytes - sealOverheadBytes;

  #buffer: Buffer = Buffer.alloc(0);
  /** Where the bytes begin that `take` will hand over; what lies before was handed over already. */
  #start = 0;
  #at = 0;
  #frameAt = -1;
  #nextSize = firstBufferBytes;
  #lastId = 0;
  #depth = 0;
  #boolId = 0;
  #boolPending = false;
  readonly #lastIds = new Int16Array(wireLimits.nestingDepth + 1);

  /** Bytes that wait for `take`. */
  get length(): number {
    return this.#at - this.#start;
  }

  mark(): number {
    return this.length;
  }

  /** Forgets what was written since the mark, and whatever state an unfinished struct left. */
  rollback(mark: number): void {
    this.#at = this.#start + mark;
    this.#frameAt = -1;
    this.#resetMessage();
  }

  /** Hands over everything written so far; the writer never touches these bytes again. A large buffer may be given to `returnBuffer`. */
  take(): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#at);
    this.#start = this.#at;
    const left = this.#buffer.length - this.#at;
    if (left < firstBufferBytes / 4 || this.#buffer.length > largestBufferBytes) {
      // A busy writer gets larger buffers; an idle one keeps a small rest, never what a large message needed.
      this.#nextSize = Math.min(largestBufferBytes, Math.max(firstBufferBytes, this.#buffer.length * 2));
      this.#buffer = Buffer.alloc(0);
      this.#start = 0;
      this.#at = 0;
    }
    return taken;
  }

  /** Reserves the u32 length of a frame. Frames do not nest. */
  beginFrame(): void {
    if (this.#frameAt >= 0) throw new TypeError('A frame is open already.');
    this.#ensure(4);
    this.#frameAt = this.#at - this.#start;
    this.#at += 4;
    this.#resetMessage();
  }

  /** Writes the length into its place; throws frame_too_large when the message is. */
  endFrame(): void {
    const at = this.#start + this.#frameAt;
    const sizeBytes = this.#at - at - 4;
    if (this.#frameAt < 0 || this.#depth !== 0) throw new TypeError('No frame is open, or a struct still is.');
    if (sizeBytes > this.maxFrameBytes)
      throw new AllianceError('frame_too_large', { details: `${sizeBytes} bytes, at most ${this.maxFrameBytes}.` });
    this.#buffer.writeUInt32BE(sizeBytes, at);
    this.#frameAt = -1;
  }

  writeMessageBegin(name: string, type: number, seqid: number): void {
    this.#ensure(7);
    this.#buffer[this.#at++] = protocolId;
    this.#buffer[this.#at++] = protocolVersion | (type << 5);
    this.#varint32(seqid);
    this.writeString(name);
  }

  writeMessageEnd(): void {}

  writeStructBegin(_name?: string): void {
    this.#enter();
  }

  writeStructEnd(): void {
    this.#leave();
  }

  writeFieldBegin(_name: string, type: number, id: number): void {
    if (type === ThriftType.bool) {
      // The value of a bool field is its type, so the header waits for the value.
      this.#boolPending = true;
      this.#boolId = id;
    } else this.#fieldHeader(compactTypeOf(type), id);
  }

  writeFieldEnd(): void {}

  writeFieldStop(): void {
    this.#byte(0);
  }

  writeListBegin(elementType: number, size: number): void {
    this.#enter();
    const nibble = compactTypeOf(elementType);
    if (size < 15) this.#byte((size << 4) | nibble);
    else {
      this.#byte(0xf0 | nibble);
      this.#varint32(size);
    }
  }

  writeListEnd(): void {
    this.#leave();
  }

  writeSetBegin(elementType: number, size: number): void {
    this.writeListBegin(elementType, size);
  }

  writeSetEnd(): void {
    this.#leave();
  }

  writeMapBegin(keyType: number, valueType: number, size: number): void {
    this.#enter();
    this.#varint32(size);
    if (size > 0) this.#byte((compactTypeOf(keyType) << 4) | compactTypeOf(valueType));
  }

  writeMapEnd(): void {
    this.#leave();
  }

  writeBool(value: boolean): void {
    const nibble = value ? compactTrue : compactFalse;
    if (this.#boolPending) {
      this.#boolPending = false;
      this.#fieldHeader(nibble, this.#boolId);
    } else this.#byte(nibble);
  }

  writeByte(value: number): void {
    this.#byte(integer(value, 0x80) & 0xff);
  }

  writeI16(value: number): void {
    this.#zigzag32(integer(value, 0x8000));
  }

  writeI32(value: number): void {
    this.#zigzag32(integer(value, 0x8000_0000));
  }

  /** An Int64, a bigint, or a number that is exact. */
  writeI64(value: Int64 | number | bigint): void {
    let high: number;
    let low: number;
    if (value instanceof Int64) {
      high = value.buffer.readInt32BE(value.offset);
      low = value.buffer.readInt32BE(value.offset + 4);
    } else {
      scratch.writeBigInt64BE(typeof value === 'bigint' ? value : BigInt(integer(value, Number.MAX_SAFE_INTEGER)));
      high = scratch.readInt32BE(0);
      low = scratch.readInt32BE(4);
    }
    const sign = high >> 31;
    this.#varint64(((high << 1) | (low >>> 31)) ^ sign, (low << 1) ^ sign);
  }

  writeDouble(value: number): void {
    if (typeof value !== 'number') throw new TypeError('A number was expected.');
    this.#ensure(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  writeString(value: string): void {
    if (typeof value !== 'string') throw new TypeError('A string was expected.');
    const length = value.length;
    if (length > shortStringChars || !this.#shortAscii(value, length)) this.#longString(value);
  }

  /** Copied once, into its place. */
  writeBinary(value: Uint8Array): void {
    if (!(value instanceof Uint8Array)) throw new TypeError('Bytes were expected.');
    const sizeBytes = value.length;
    this.#ensure(5 + sizeBytes);
    this.#varint32(sizeBytes);
    this.#buffer.set(value, this.#at);
    this.#at += sizeBytes;
  }

  #resetMessage(): void {
    this.#lastId = 0;
    this.#depth = 0;
    this.#boolPending = false;
  }

  #enter(): void {
    if (this.#depth >= wireLimits.nestingDepth) throw new TypeError('The value is nested too deep.');
    this.#lastIds[this.#depth++] = this.#lastId;
    this.#lastId = 0;
  }

  #leave(): void {
    this.#lastId = this.#lastIds[--this.#depth] as number;
  }

  #ensure(sizeBytes: number): void {
    if (this.#at + sizeBytes > this.#buffer.length) this.#grow(sizeBytes);
  }

  #grow(sizeBytes: number): void {
    const waiting = this.length;
    const wanted = Math.max(this.#nextSize, waiting * 2, waiting + sizeBytes + slackBytes);
    const grown = takeBuffer(wanted);
    this.#buffer.copy(grown, 0, this.#start, this.#at);
    this.#buffer = grown;
    this.#start = 0;
    this.#at = waiting;
  }

  #byte(value: number): void {
    this.#ensure(1);
    this.#buffer[this.#at++] = value;
  }

  #fieldHeader(nibble: number, id: number): void {
    const delta = id - this.#lastId;
    if (delta > 0 && delta < 16) this.#byte((delta << 4) | nibble);
    else {
      this.#byte(nibble);
      this.writeI16(id);
    }
    this.#lastId = id;
  }

  #zigzag32(value: number): void {
    this.#varint32((value << 1) ^ (value >> 31));
  }

  #varint32(value: number): void {
    this.#ensure(5);
    const buffer = this.#buffer;
    let at = this.#at;
    let rest = value >>> 0;
    while (rest > 0x7f) {
      buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.#at = at;
  }

  #varint64(high: number, low: number): void {
    this.#ensure(10);
    let h = high >>> 0;
    let l = low >>> 0;
    while (h !== 0 || l > 0x7f) {
      this.#buffer[this.#at++] = (l & 0x7f) | 0x80;
      l = ((l >>> 7) | (h << 25)) >>> 0;
      h >>>= 7;
    }
    this.#buffer[this.#at++] = l;
  }

  /** False, with nothing written, when a character is not ASCII. */
  #shortAscii(value: string, length: number): boolean {
    this.#ensure(1 + length);
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at++] = length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      buffer[at++] = code;
    }
    this.#at = at;
    return true;
  }

  #longString(value: string): void {
    const sizeBytes = Buffer.byteLength(value);
    this.#ensure(5 + sizeBytes);
    this.#varint32(sizeBytes);
    this.#at += this.#buffer.write(value, this.#at, sizeBytes, 'utf8');
  }
}

/** The value, if it is an integer from -bound to bound - 1. */
function integer(value: number, bound: number): number {
  if (!Number.isSafeInteger(value) || value >= bound || value < -bound) throw new TypeError('An integer was expected.');
  return value;
}
