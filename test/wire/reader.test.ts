import { expect } from 'chai';
import { wireLimits } from '../../src/core/limits.ts';
import { CompactReader } from '../../src/wire/compact.ts';
import { ThriftType } from '../../src/wire/compactTypes.ts';
import { refusal } from '../support/errors.ts';

function over(...bytes: (number | Uint8Array | string)[]): CompactReader {
  const reader = new CompactReader();
  reader.reset(Buffer.concat(bytes.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part)))));
  return reader;
}

const hex = (text: string): CompactReader => over(Buffer.from(text, 'hex'));
const varint = (value: number): number[] => (value > 127 ? [(value & 127) | 128, ...varint(value >>> 7)] : [value]);
const malformed = (act: () => unknown): void => void refusal(act, 'wire_malformed');

describe('CompactReader', () => {
  it('refuses a container that claims more than is there, before any element', () => {
    for (const claim of ['f8ffffffff07', 'f8ffffffff0f', 'fcffffffff07', 'f1a08d06', '38'])
      for (const read of ['readListBegin', 'readSetBegin'] as const) malformed(() => hex(claim)[read]());
    for (const claim of ['ffffffff0788', 'ffffffff0f88', '028800', '0188']) malformed(() => hex(claim).readMapBegin());
    malformed(() => over(0xf7, ...varint(2), new Uint8Array(15)).readListBegin());
    expect(over(0xf7, ...varint(2), new Uint8Array(16)).readListBegin()).to.deep.equal({ etype: 4, size: 2 });
  });

  it('bounds the elements of a container even where the bytes are there', () => {
    const elements = wireLimits.containerElements;
    const list = (size: number): CompactReader => over(0xf3, Uint8Array.from(varint(size)), new Uint8Array(size));
    expect(list(elements).readListBegin().size).to.equal(elements);
    malformed(() => list(elements + 1).readListBegin());
    list(elements).skip(ThriftType.list);
    malformed(() => list(elements + 1).skip(ThriftType.list));
  });

  it('refuses lengths beyond what is there', () => {
    for (const length of ['05', 'ffffffff07', 'ffffffff0f']) {
      malformed(() => hex(`${length}61626364`).readString());
      malformed(() => hex(`${length}61626364`).readBinary());
      malformed(() => hex(`${length}61626364`).skip(ThriftType.string));
    }
  });

  it('refuses strings and binaries over the limit, in whatever frame', () => {
    const text = (size: number): CompactReader => over(Uint8Array.from(varint(size)), new Uint8Array(size));
    expect(text(wireLimits.stringBytes).readBinary()).to.have.length(wireLimits.stringBytes);
    malformed(() => text(wireLimits.stringBytes + 1).readBinary());
  });

  it('ends integers at 5 and at 10 bytes', () => {
    expect(hex('ffffffff0f').readI32()).to.equal(-0x8000_0000);
    malformed(() => hex('ffffffff1f').readI32());
    malformed(() => hex('ffffffffff0f').readI32());
    malformed(() => hex('ffff').readI32());
    expect(hex('ffffffffffffffffff01').readI64().toOctetString()).to.equal('8000000000000000');
    malformed(() => hex('ffffffffffffffffff02').readI64());
    malformed(() => hex('ffffffffffffffffffff01').readI64());
    malformed(() => hex('ffffffffffffffffffff01').skip(ThriftType.i64));
    malformed(() => hex('ffffff').skip(ThriftType.i64));
  });

  it('keeps 16-bit integers and field numbers within their range', () => {
    expect(hex('feff03').readI16()).to.equal(0x7fff);
    malformed(() => hex('808004').readI16());
    const reader = hex('08feff0318');
    expect(reader.readFieldBegin().fid).to.equal(0x7fff);
    malformed(() => reader.readFieldBegin());
  });

  it('refuses text that is no UTF-8, short or long, and takes a true U+FFFD', () => {
    const wrong = [Buffer.of(0xff), Buffer.of(0xc3, 0x28), Buffer.of(0xed, 0xa0, 0x80), Buffer.of(0xe2, 0x82)];
    for (const bytes of wrong)
      for (const around of ['', 'x'.repeat(40)]) {
        const text = Buffer.concat([Buffer.from(around), bytes]);
        malformed(() => over(text.length, text).readString());
      }
    const right = Buffer.from('a\ufffd\ufeffé😀\u0000');
    expect(over(right.length, right).readString()).to.equal('a\ufffd\ufeffé😀\u0000');
  });

  it('refuses types that are not assigned', () => {
    malformed(() => hex('1e00').readFieldBegin());
    malformed(() => hex('1f00').readFieldBegin());
    malformed(() => hex('1000').readFieldBegin());
    malformed(() => hex('1e00').readListBegin());
    malformed(() => hex('1000').readListBegin());
    malformed(() => hex('01e800').readMapBegin());
    malformed(() => hex('018000').readMapBegin());
    malformed(() => hex('00').skip(99));
    expect(hex('00').readListBegin()).to.deep.equal({ etype: 0, size: 0 });
  });

  it('reads bools of containers in every form that is in use', () => {
    expect(['01', '02', '00'].map((byte) => hex(byte).readBool())).to.deep.equal([true, false, false]);
    malformed(() => hex('03').readBool());
  });

  it('bounds the nesting of what it skips and of what generated code reads', () => {
    const deep = wireLimits.nestingDepth;
    const structs = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth - 1, 0x1c), Buffer.alloc(depth)]);
    const lists = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth - 1, 0x19), Buffer.of(0x13, 7)]);
    const maps = (depth: number): Buffer =>
      Buffer.concat([...Array.from({ length: depth - 1 }, () => Buffer.of(1, 0x3b, 9)), Buffer.of(0)]);
    for (const [type, bomb] of [
      [ThriftType.struct, structs],
      [ThriftType.list, lists],
      [ThriftType.map, maps],
    ] as const) {
      const reader = over(bomb(deep));
      reader.skip(type);
      expect(reader.remaining).to.equal(0);
      malformed(() => over(bomb(deep + 1)).skip(type));
      malformed(() => over(bomb(1_000_000)).skip(type));
    }
    const reader = over(new Uint8Array(8));
    for (let i = 0; i < deep; i++) reader.readStructBegin();
    malformed(() => reader.readStructBegin());
  });

  it('skips every type to its last byte, a UUID too', () => {
    const sample = new Map<number, string>([
      [ThriftType.bool, '01'],
      [ThriftType.byte, '80'],
      [ThriftType.i16, 'feff03'],
      [ThriftType.i32, 'ffffffff0f'],
      [ThriftType.i64, 'ffffffffffffffffff01'],
      [ThriftType.double, '0000000000000000'],
      [ThriftType.string, '0361c328'],
      [ThriftType.struct, '1100'],
      [ThriftType.map, '023301020203'],
      [ThriftType.set, '230102'],
      [ThriftType.list, `1d${'00'.repeat(16)}`],
      [ThriftType.uuid, '00'.repeat(16)],
    ]);
    for (const [type, bytes] of sample) {
      const reader = hex(bytes);
      reader.skip(type);
      expect(reader.remaining, String(type)).to.equal(0);
      malformed(() => hex(bytes.slice(0, -2)).skip(type));
    }
  });

  it('refuses message heads of another protocol, version, type or an endless name', () => {
    for (const head of ['802105', '822205', '820105', '82a105', '82c105', '82e105'])
      malformed(() => hex(`${head}0470696e67`).readMessageBegin());
    for (const cut of ['', '82', '8221', '822105', '8221050470696e']) malformed(() => hex(cut).readMessageBegin());
    expect(hex('8281050470696e67').readMessageBegin()).to.deep.equal({ fname: 'ping', mtype: 4, rseqid: 5 });
    const named = (length: number): CompactReader => over(0x82, 0x21, 5, length, 'x'.repeat(length));
    expect(named(wireLimits.methodNameBytes).readMessageBegin()).to.include({ mtype: 1, rseqid: 5 });
    malformed(() => named(wireLimits.methodNameBytes + 1).readMessageBegin());
  });

  it('reads names as the bytes say, whatever the name before was', () => {
    const reader = new CompactReader();
    const name = (bytes: string | Buffer): string => {
      const text = Buffer.from(bytes);
      reader.reset(Buffer.concat([Buffer.from([0x82, 0x21, 5, text.length]), text]));
      return reader.readMessageBegin().fname;
    };
    for (const text of ['ping', 'ping', 'pong', 'ping', 'pin', '', 'ping', '\u00e9', '\u00e9', 'validateTokenSoft'])
      expect(name(text)).to.equal(text);
    // The one byte that the last name's one character would be in Latin-1 is no UTF-8.
    name('\u00e9');
    malformed(() => name(Buffer.from([0xe9])));
    name('ping');
    reader.reset(Buffer.from([0x82, 0x21, 5, 4, 0x70, 0x69, 0x6e]));
    malformed(() => reader.readMessageBegin());
  });

  it('copies small binaries and views large ones', () => {
    const small = Buffer.concat([Buffer.of(3), Buffer.from('abc')]);
    const reader = new CompactReader();
    reader.reset(small);
    const copy = reader.readBinary();
    small.fill(0);
    expect(copy.toString()).to.equal('abc');
    const large = Buffer.concat([Uint8Array.from(varint(65_536)), new Uint8Array(65_536)]);
    reader.reset(large);
    expect(reader.readBinary().buffer).to.equal(large.buffer);
  });

  it('reads nothing outside the range it was given, and starts clean after an error', () => {
    const reader = new CompactReader();
    reader.reset(Buffer.from('ff0361626364', 'hex'), 1, 4);
    malformed(() => reader.readString());
    reader.reset(Buffer.from('ff0361626364', 'hex'), 1, 5);
    expect(reader.readString()).to.equal('abc');
    malformed(() => reader.readByte());
  });
});
