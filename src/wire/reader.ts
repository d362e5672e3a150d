/**
 * Compact protocol, reading side, with the surface that generated code calls.
 *
 * The bytes come from strangers: every length, count and depth is checked before anything loops, allocates or recurses, and every
 * defect is one AllianceError('wire_malformed'). After an error only `reset` is of use.
 */
import { isUtf8 } from 'node:buffer';
import { wireLimits } from '../core/limits.ts';
import {
  compactFalse,
  compactTrue,
  malformed,
  minimumSizeOf,
  protocolId,
  protocolVersion,
  ThriftType,
  thriftTypeOf,
} from './compactTypes.ts';
import { Int64 } from './int64.ts';

/** Below this a binary is copied, so that it does not keep a whole chunk of the socket alive; above, copying costs more. */
const copyBelowBytes = 65_536;
/** Up to this length joining characters is quicker than a call into the runtime (measured: equal at about 12). */
const shortStringBytes = 12;

const noBytes = Buffer.alloc(0);

export class CompactReader {
  /** Type of the message that `readMessageBegin` read last: 1 call, 2 reply, 3 exception, 4 oneway. */
  messageType = 0;

  #buffer: Buffer = noBytes;
  #at = 0;
  #end = 0;
  #lastId = 0;
  #depth = 0;
  /** Value of a bool field whose header was read, or 0. */
  #bool = 0;
  readonly #lastIds = new Int16Array(wireLimits.nestingDepth + 1);
  readonly #field = { fname: '', ftype: 0, fid: 0 };

  /** Starts over on the bytes from start to end. */
  reset(buffer: Buffer, start = 0, end = buffer.length): void {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
    this.#lastId = 0;
    this.#depth = 0;
    this.#bool = 0;
  }

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

  readMessageBegin(): { fname: string; mtype: number; rseqid: number } {
    if (this.#byte() !== protocolId) throw malformed('This is no compact protocol.');
    const versionAndType = this.#byte();
    if ((versionAndType & 0x1f) !== protocolVersion) throw malformed('The protocol version is unknown.');
    const mtype = versionAndType >> 5;
    if (mtype < 1 || mtype > 4) throw malformed('The message type is unknown.');
    const rseqid = this.#varint32() | 0;
    const nameAt = this.#at;
    if (this.#length() > wireLimits.methodNameBytes) throw malformed('The method name is too long.');
    this.#at = nameAt;
    this.messageType = mtype;
    return { fname: this.readString(), mtype, rseqid };
  }

  readMessageEnd(): void {}

  readStructBegin(): void {
    this.#enter();
  }

  readStructEnd(): void {
    this.#leave();
  }

  /** The object is the same on every call. */
  readFieldBegin(): { fname: string; ftype: number; fid: number } {
    const field = this.#field;
    const header = this.#byte();
    if (header === 0) {
      field.ftype = ThriftType.stop;
      field.fid = 0;
      return field;
    }
    const nibble = header & 0x0f;
    if (nibble === 0) throw malformed('A field has no type.');
    const delta = header >> 4;
    const id = delta === 0 ? this.readI16() : this.#lastId + delta;
    if (id > 0x7fff) throw malformed('A field number is too large.');
    this.#lastId = id;
    field.fid = id;
    field.ftype = thriftTypeOf(nibble);
    this.#bool = nibble <= compactFalse ? nibble : 0;
    return field;
  }

  readFieldEnd(): void {}

  readListBegin(): { etype: number; size: number } {
    this.#enter();
    const header = this.#byte();
    const etype = thriftTypeOf(header & 0x0f);
    const short = header >> 4;
    const size = short === 15 ? this.#varint32() : short;
    this.#checkSize(size, minimumSizeOf(etype), etype !== 0);
    return { etype, size };
  }

  readListEnd(): void {
    this.#leave();
  }

  readSetBegin(): { etype: number; size: number } {
    return this.readListBegin();
  }

  readSetEnd(): void {
    this.#leave();
  }

  readMapBegin(): { ktype: number; vtype: number; size: number } {
    this.#enter();
    const size = this.#varint32();
    if (size === 0) return { ktype: 0, vtype: 0, size };
    const types = this.#byte();
    const ktype = thriftTypeOf(types >> 4);
    const vtype = thriftTypeOf(types & 0x0f);
    this.#checkSize(size, minimumSizeOf(ktype) + minimumSizeOf(vtype), ktype !== 0 && vtype !== 0);
    return { ktype, vtype, size };
  }

  readMapEnd(): void {
    this.#leave();
  }

  readBool(): boolean {
    let value = this.#bool;
    this.#bool = 0;
    if (value === 0) {
      value = this.#byte();
      // Elements of containers; some implementations write false as 0.
      if (value > compactFalse) throw malformed('A bool is neither true nor false.');
    }
    return value === compactTrue;
  }

  readByte(): number {
    return (this.#byte() << 24) >> 24;
  }

  readI16(): number {
    const value = this.readI32();
    if (value > 0x7fff || value < -0x8000) throw malformed('A 16-bit integer is out of range.');
    return value;
  }

  readI32(): number {
    const zigzag = this.#varint32();
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  readI64(): Int64 {
    const bytes = Buffer.allocUnsafe(8);
    let high = 0;
    let low = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) throw malformed('An integer is longer than 64 bits.');
        break;
      }
      if (shift === 63) throw malformed('An integer is longer than 64 bits.');
    }
    const sign = -(low & 1);
    bytes.writeInt32BE((high >>> 1) ^ sign, 0);
    bytes.writeInt32BE(((low >>> 1) | (high << 31)) ^ sign, 4);
    return new Int64(bytes);
  }

  readDouble(): number {
    return this.#buffer.readDoubleLE(this.#advance(8));
  }

  readString(): string {
    const length = this.#length();
    const at = this.#advance(length);
    if (length <= shortStringBytes) {
      const short = shortAscii(this.#buffer, at, length);
      if (short !== undefined) return short;
    }
    const text = this.#buffer.toString('utf8', at, at + length);
    // Decoding puts U+FFFD where bytes are no UTF-8; only then is a second look needed.
    if (text.includes('\ufffd') && !isUtf8(this.#buffer.subarray(at, at + length)))
      throw malformed('A string is not UTF-8.');
    return text;
  }

  readBinary(): Buffer {
    const length = this.#length();
    const at = this.#advance(length);
    const bytes = this.#buffer.subarray(at, at + length);
    return length < copyBelowBytes ? Buffer.from(bytes) : bytes;
  }

  /** 16 bytes, as they are. */
  readUuid(): Buffer {
    const at = this.#advance(16);
    return Buffer.from(this.#buffer.subarray(at, at + 16));
  }

  /** Passes over one value; its nesting counts like any other. */
  skip(type: number): void {
    switch (type) {
      case ThriftType.bool:
        this.readBool();
        break;
      case ThriftType.byte:
        this.#advance(1);
        break;
      case ThriftType.i16:
      case ThriftType.i32:
        this.#varint32();
        break;
      case ThriftType.i64:
        this.#skipVarint64();
        break;
      case ThriftType.double:
        this.#advance(8);
        break;
      case ThriftType.string:
        this.#advance(this.#length());
        break;
      case ThriftType.uuid:
        this.#advance(16);
        break;
      case ThriftType.struct:
        this.#skipStruct();
        break;
      case ThriftType.map:
        this.#skipMap();
        break;
      case ThriftType.list:
      case ThriftType.set:
        this.#skipList();
        break;
      default:
        throw malformed('A type is unknown.');
    }
  }

  #skipStruct(): void {
    this.#enter();
    for (;;) {
      const type = this.readFieldBegin().ftype;
      if (type === ThriftType.stop) break;
      this.skip(type);
    }
    this.#leave();
  }

  #skipList(): void {
    const { etype, size } = this.readListBegin();
    for (let i = 0; i < size; i++) this.skip(etype);
    this.#leave();
  }

  #skipMap(): void {
    const { ktype, vtype, size } = this.readMapBegin();
    for (let i = 0; i < size; i++) {
      this.skip(ktype);
      this.skip(vtype);
    }
    this.#leave();
  }

  #skipVarint64(): void {
    for (let i = 0; i < 10; i++) if (this.#byte() < 0x80) return;
    throw malformed('An integer is longer than 64 bits.');
  }

  #enter(): void {
    if (this.#depth >= wireLimits.nestingDepth) throw malformed('The message is nested too deep.');
    this.#lastIds[this.#depth++] = this.#lastId;
    this.#lastId = 0;
  }

  #leave(): void {
    this.#lastId = this.#lastIds[--this.#depth] as number;
  }

  #checkSize(size: number, elementBytes: number, typed: boolean): void {
    if (size === 0) return;
    if (!typed) throw malformed('The elements of a container have no type.');
    if (size > wireLimits.containerElements) throw malformed('A container has too many elements.');
    if (size * elementBytes > this.#end - this.#at) throw malformed('A container is larger than its message.');
  }

  #byte(): number {
    if (this.#at >= this.#end) throw malformed('The message is cut off.');
    return this.#buffer[this.#at++] as number;
  }

  /** Moves on by so many bytes that are there, and returns where they begin. */
  #advance(sizeBytes: number): number {
    const at = this.#at;
    if (sizeBytes > this.#end - at) throw malformed('The message is cut off.');
    this.#at = at + sizeBytes;
    return at;
  }

  #length(): number {
    const length = this.#varint32();
    if (length > wireLimits.stringBytes) throw malformed('A string is too long.');
    return length;
  }

  #varint32(): number {
    let value = this.#byte();
    if (value < 0x80) return value;
    value &= 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.#byte();
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
