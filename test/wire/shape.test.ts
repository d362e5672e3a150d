import { expect } from 'chai';
import type { TypeText } from '../../src/gen/AllianceService_shapes.js';
import { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { ThriftType } from '../../src/wire/compactTypes.ts';
import { checkStruct, structShape } from '../../src/wire/shape.ts';
import { refusal } from '../support/errors.ts';
import { field } from '../support/wireFrame.ts';

function check(type: TypeText, wireType: number, write: (w: CompactWriter) => void): void {
  const writer = new CompactWriter();
  field(writer, wireType, 1, () => write(writer));
  const reader = new CompactReader();
  reader.reset(writer.take());
  checkStruct(reader, structShape([{ id: 1, name: 'member', required: true, type }]));
  expect(reader.remaining).to.equal(0);
}

describe('shapes', () => {
  it('check the elements of sets and lists within each other', () => {
    const write = (inner: number) => (w: CompactWriter) => {
      w.writeSetBegin(ThriftType.list, 1);
      w.writeListBegin(inner, 1);
      w.writeByte(1);
      w.writeListEnd();
      w.writeSetEnd();
    };
    const type: TypeText = ['set', ['list', ['enum', 'TrustEnd']]];
    check(type, ThriftType.set, (w) => w.writeSetBegin(ThriftType.list, 0));
    refusal(() => check(type, ThriftType.set, write(ThriftType.byte)), 'wire_malformed');
    // The byte 1 is zigzag for -1, which the enum does not have.
    refusal(() => check(type, ThriftType.set, write(ThriftType.i32)), 'wire_malformed');
    check(['set', ['list', ['i8']]], ThriftType.set, write(ThriftType.byte));
  });

  it('check keys and values of maps', () => {
    const write = (key: number, value: number, size: number) => (w: CompactWriter) => {
      w.writeMapBegin(key, value, size);
      for (let i = 0; i < 2 * size; i++) w.writeByte(0);
      w.writeMapEnd();
    };
    const type: TypeText = ['map', ['string'], ['i32']];
    check(type, ThriftType.map, write(ThriftType.string, ThriftType.i32, 2));
    check(type, ThriftType.map, write(0, 0, 0));
    refusal(() => check(type, ThriftType.map, write(ThriftType.i32, ThriftType.i32, 1)), 'wire_malformed');
    refusal(() => check(type, ThriftType.map, write(ThriftType.string, ThriftType.string, 1)), 'wire_malformed');
  });

  it('take no type that is not in Thrift, and no struct with more members than they count', () => {
    expect(() => structShape([{ id: 1, name: 'x', required: true, type: ['i128'] }])).to.throw(TypeError);
    const many = Array.from({ length: 32 }, (_, id) => ({
      id,
      name: `m${id}`,
      required: true,
      type: ['i32'] as const,
    }));
    expect(() => structShape(many)).to.throw(TypeError);
    expect(structShape(many.slice(0, 31)).required).to.equal(2 ** 31 - 1);
  });
});
