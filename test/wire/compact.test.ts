import { expect } from 'chai';
import fc from 'fast-check';
import { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { npmFrame, npmReading } from '../support/npmThrift.ts';
import { bigintOf, int64Of, readValue, typeOf, type WireValue, wireStruct, writeValue } from '../support/wireValue.ts';

function ourFrame({ shape, value }: WireValue): Buffer {
  const writer = new CompactWriter();
  writer.beginFrame();
  writeValue(writer, shape, value);
  writer.endFrame();
  return writer.take();
}

function readerOf(frame: Buffer): CompactReader {
  const reader = new CompactReader();
  reader.reset(frame, 4);
  return reader;
}

describe('compact protocol against npm thrift', () => {
  it('reads whatever npm thrift writes', () => {
    fc.assert(
      fc.property(wireStruct({ boolElements: true }), ({ shape, value }) => {
        const reader = readerOf(npmFrame((protocol) => writeValue(protocol, shape, value)));
        expect(readValue(reader, shape)).to.deep.equal(value);
        expect(reader.remaining).to.equal(0);
      }),
      { numRuns: 400 },
    );
  });

  it('writes what npm thrift reads', () => {
    fc.assert(
      fc.property(wireStruct({ boolElements: false }), (whole) => {
        expect(readValue(npmReading(ourFrame(whole)), whole.shape)).to.deep.equal(whole.value);
      }),
      { numRuns: 400 },
    );
  });

  it('writes the very bytes of npm thrift', () => {
    fc.assert(
      fc.property(wireStruct({ boolElements: true }), (whole) => {
        const theirs = npmFrame((protocol) => writeValue(protocol, whole.shape, whole.value));
        expect(ourFrame(whole).toString('hex')).to.equal(theirs.toString('hex'));
      }),
      { numRuns: 400 },
    );
  });

  it('reads its own writing, and skips it to the last byte', () => {
    fc.assert(
      fc.property(wireStruct({ boolElements: true }), (whole) => {
        const reader = readerOf(ourFrame(whole));
        expect(readValue(reader, whole.shape)).to.deep.equal(whole.value);
        reader.rewind(4);
        reader.skip(typeOf(whole.shape));
        expect(reader.remaining).to.equal(0);
      }),
      { numRuns: 400 },
    );
  });

  it('keeps 64-bit integers exact at the ends of every range', () => {
    const edges = [
      0n,
      1n,
      -1n,
      2n ** 31n,
      -(2n ** 31n) - 1n,
      2n ** 32n,
      2n ** 53n - 1n,
      2n ** 53n + 1n,
      -(2n ** 53n) - 1n,
    ];
    for (const edge of [...edges, 2n ** 63n - 1n, -(2n ** 63n)]) {
      const writer = new CompactWriter();
      for (const form of [int64Of(edge), edge]) {
        writer.writeI64(form);
        const reader = new CompactReader();
        const bytes = writer.take();
        reader.reset(bytes);
        expect(bigintOf(reader.readI64())).to.equal(edge);
        expect(bigintOf(npmReading(Buffer.concat([Buffer.of(0, 0, 0, bytes.length), bytes])).readI64())).to.equal(edge);
      }
    }
    const writer = new CompactWriter();
    writer.writeI64(Number.MIN_SAFE_INTEGER);
    const reader = new CompactReader();
    reader.reset(writer.take());
    expect(bigintOf(reader.readI64())).to.equal(BigInt(Number.MIN_SAFE_INTEGER));
  });
});
