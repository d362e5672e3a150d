/**
 * Compact protocol, reading side, with the surface that generated code calls.
 *
 * The bytes come from strangers: every length, count and depth is checked before anything loops, allocates or recurses, and every
 * defect is one AllianceError('wire_malformed'). After an error only `reset` is of use.
 */
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
import { ByteCursor } from './cursor.ts';
import { Int64 } from './int64.ts';

export class CompactReader extends ByteCursor {
  /** Type of the message that `readMessageBegin` read last: 1 call, 2 reply, 3 exception, 4 oneway. */
  messageType = 0;

  #lastId = 0;
  #depth = 0;
  /** Value of a bool field whose header was read, or 0. */
  #bool = 0;
  readonly #lastIds = new Int16Array(wireLimits.nestingDepth + 1);
  readonly #field = { fname: '', ftype: 0, fid: 0 };

  /** Starts over on the bytes from start to end. */
  reset(buffer: Buffer, start = 0, end = buffer.length): void {
    this.over(buffer, start, end);
    this.#lastId = 0;
    this.#depth = 0;
    this.#bool = 0;
  }

  readMessageBegin(): { fname: string; mtype: number; rseqid: number } {
    if (this.byte() !== protocolId) throw malformed('This is no compact protocol.');
    const versionAndType = this.byte();
    if ((versionAndType & 0x1f) !== protocolVersion) throw malformed('The protocol version is unknown.');
    const mtype = versionAndType >> 5;
    if (mtype < 1 || mtype > 4) throw malformed('The message type is unknown.');
    const rseqid = this.varint32() | 0;
    const nameBytes = this.length();
    if (nameBytes > wireLimits.methodNameBytes) throw malformed('The method name is too long.');
    this.messageType = mtype;
    return { fname: this.name(nameBytes), mtype, rseqid };
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
    const header = this.byte();
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
    const header = this.byte();
    const etype = thriftTypeOf(header & 0x0f);
    const short = header >> 4;
    const size = short === 15 ? this.varint32() : short;
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
    const size = this.varint32();
    if (size === 0) return { ktype: 0, vtype: 0, size };
    const types = this.byte();
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
      value = this.byte();
      // Elements of containers; some implementations write false as 0.
      if (value > compactFalse) throw malformed('A bool is neither true nor false.');
    }
    return value === compactTrue;
  }

  readByte(): number {
    return (this.byte() << 24) >> 24;
  }

  readI16(): number {
    const value = this.readI32();
    if (value > 0x7fff || value < -0x8000) throw malformed('A 16-bit integer is out of range.');
    return value;
  }

  readI32(): number {
    const zigzag = this.varint32();
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  readI64(): Int64 {
    const bytes = Buffer.allocUnsafe(8);
    let high = 0;
    let low = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
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

  /** Passes over one value; its nesting counts like any other. */
  skip(type: number): void {
    switch (type) {
      case ThriftType.bool:
        this.readBool();
        break;
      case ThriftType.byte:
        this.advance(1);
        break;
      case ThriftType.i16:
      case ThriftType.i32:
        this.varint32();
        break;
      case ThriftType.i64:
        this.#skipVarint64();
        break;
      case ThriftType.double:
        this.advance(8);
        break;
      case ThriftType.string:
        this.advance(this.length());
        break;
      case ThriftType.uuid:
        this.advance(16);
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
    for (let i = 0; i < 10; i++) if (this.byte() < 0x80) return;
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
    if (size * elementBytes > this.remaining) throw malformed('A container is larger than its message.');
  }
}
