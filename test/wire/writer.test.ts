import { expect } from 'chai';
import fc from 'fast-check';
import { wireLimits } from '../../src/core/limits.ts';
import { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { ThriftType } from '../../src/wire/compactTypes.ts';
import type { Int64 } from '../../src/wire/int64.ts';
import { refusal } from '../support/errors.ts';

function frame(writer: CompactWriter, bytes: Uint8Array): void {
  writer.beginFrame();
  writer.writeBinary(bytes);
  writer.endFrame();
}

describe('CompactWriter', () => {
  it('never touches what it handed over', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 9000 }), fc.boolean()), { maxLength: 40 }), (writes) => {
        const writer = new CompactWriter();
        const taken: Buffer[] = [];
        const expected: number[] = [];
        for (const [index, [size, take]] of writes.entries()) {
          frame(writer, Buffer.alloc(size, index));
          expected.push(size);
          if (take) taken.push(writer.take());
        }
        taken.push(writer.take());
        const reader = new CompactReader();
        const stream = Buffer.concat(taken);
        let at = 0;
        for (const [index, size] of expected.entries()) {
          const length = stream.readUInt32BE(at);
          reader.reset(stream, at + 4, at + 4 + length);
          expect(reader.readBinary().equals(Buffer.alloc(size, index))).to.equal(true);
          at += 4 + length;
        }
        expect(at).to.equal(stream.length);
      }),
    );
  });

  it('has nothing to hand over when nothing was written', () => {
    expect(new CompactWriter().take()).to.have.length(0);
  });

  it('puts a large payload into its place and leaves it there', () => {
    const writer = new CompactWriter();
    const payload = Buffer.alloc(1024 * 1024, 5);
    writer.beginFrame();
    writer.writeStructBegin();
    writer.writeFieldBegin('', ThriftType.string, 1);
    writer.writeBinary(payload);
    writer.writeFieldStop();
    writer.writeStructEnd();
    writer.endFrame();
    // Had the buffer grown again for what follows the payload, it would be twice as large.
    expect(writer.take().buffer.byteLength).to.be.at.most(payload.length + wireLimits.pooledStepBytes);
  });

  it('rolls back to a mark, also out of open structs and frames', () => {
    const writer = new CompactWriter();
    frame(writer, Buffer.from('kept'));
    const mark = writer.mark();
    writer.beginFrame();
    writer.writeStructBegin();
    writer.writeFieldBegin('', ThriftType.bool, 7);
    writer.rollback(mark);
    writer.beginFrame();
    writer.writeStructBegin();
    writer.writeFieldBegin('', ThriftType.byte, 1);
    writer.writeByte(-1);
    writer.writeBool(true);
    writer.writeFieldStop();
    writer.writeStructEnd();
    writer.endFrame();
    expect(writer.take().toString('hex')).to.equal('00000005046b6570740000000413ff0100');
  });

  it('closes no frame that holds an open struct, and opens no frame within another', () => {
    const writer = new CompactWriter();
    expect(() => writer.endFrame()).to.throw(TypeError);
    writer.beginFrame();
    expect(() => writer.beginFrame()).to.throw(TypeError);
    writer.writeStructBegin();
    expect(() => writer.endFrame()).to.throw(TypeError);
  });

  it('leaves a message that is one byte too large out', () => {
    const writer = new CompactWriter();
    writer.maxFrameBytes = 10;
    frame(writer, Buffer.alloc(9));
    refusal(() => frame(writer, Buffer.alloc(10)), 'frame_too_large');
    const fits = new CompactWriter();
    expect(fits.maxFrameBytes).to.equal(wireLimits.sealedFrameBytes - 21);
  });

  it('writes no value of the wrong type or out of range', () => {
    const writer = new CompactWriter();
    const wrong = [
      () => writer.writeByte(128),
      () => writer.writeI16(0x8000),
      () => writer.writeI32(2 ** 31),
      () => writer.writeI32(1.5),
      () => writer.writeI32('7' as unknown as number),
      () => writer.writeI64(2 ** 53),
      () => writer.writeI64(Number.NaN),
      () => writer.writeI64('7' as unknown as Int64),
      () => writer.writeDouble('7' as unknown as number),
      () => writer.writeString(7 as unknown as string),
      () => writer.writeBinary('text' as unknown as Buffer),
      () => writer.writeFieldBegin('', 1, 1),
      () => writer.writeListBegin(99, 1),
    ];
    for (const [index, write] of wrong.entries()) expect(write, String(index)).to.throw(TypeError);
  });

  it('bounds nesting', () => {
    const writer = new CompactWriter();
    for (let i = 0; i < wireLimits.nestingDepth; i++) writer.writeStructBegin();
    expect(() => writer.writeListBegin(ThriftType.i32, 0)).to.throw(TypeError);
  });

  it('writes strings of every length and kind as UTF-8 with their length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300, size: 'max' }), fc.nat(60), (text, ascii) => {
        const writer = new CompactWriter();
        const whole = 'a'.repeat(ascii) + text;
        writer.writeString(whole);
        const bytes = writer.take();
        const body = Buffer.from(whole);
        expect(bytes.subarray(bytes.length - body.length).equals(body)).to.equal(true);
        const reader = new CompactReader();
        reader.reset(bytes);
        expect(reader.readString()).to.equal(whole);
        expect(reader.remaining).to.equal(0);
      }),
      { numRuns: 300 },
    );
  });

  it('grows under strings of every length', () => {
    const writer = new CompactWriter();
    const texts = Array.from({ length: 400 }, (_, i) => 'é'.repeat(i) + 'a'.repeat(i % 50));
    for (const text of texts) writer.writeString(text);
    const reader = new CompactReader();
    reader.reset(writer.take());
    for (const text of texts) expect(reader.readString()).to.equal(text);
    expect(reader.remaining).to.equal(0);
  });

  it('keeps no large buffer after a large message', () => {
    const writer = new CompactWriter();
    writer.writeBinary(Buffer.alloc(100_000));
    writer.writeBinary(Buffer.alloc(100_000));
    writer.take();
    writer.writeByte(1);
    expect(writer.take().buffer.byteLength).to.be.at.most(32_768);
  });
});
