/** Arbitrary values of the raw protocol, nested, with how to write and read each over any compact protocol. */
import fc from 'fast-check';
import type { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { ThriftType } from '../../src/wire/compactTypes.ts';
import { Int64 } from '../../src/wire/int64.ts';

export type WireShape =
  | { kind: 'bool' | 'byte' | 'i16' | 'i32' | 'i64' | 'double' | 'string' | 'binary' }
  | { kind: 'list' | 'set'; element: WireShape }
  | { kind: 'map'; key: WireShape; value: WireShape }
  | { kind: 'struct'; fields: { id: number; shape: WireShape }[] };

export interface WireValue {
  shape: WireShape;
  /** Plain and comparable: i64 as bigint, binary as hex. */
  value: unknown;
}

type WriteName = Exclude<Extract<keyof CompactWriter, `write${string}`>, 'writeI64' | 'writeBinary'>;
export type WriteSide = Pick<CompactWriter, WriteName> & {
  writeI64(value: Int64): void;
  writeBinary(value: Buffer): void;
};
type ReadName = Extract<keyof CompactReader, `read${string}`>;
export type ReadSide = Pick<CompactReader, Exclude<ReadName, 'readStructBegin'>> & {
  readStructBegin(): unknown;
};

export const typeOf = (shape: WireShape): number =>
  shape.kind === 'binary' ? ThriftType.string : ThriftType[shape.kind];

export const bigintOf = (i64: Int64): bigint => i64.buffer.readBigInt64BE(i64.offset);

export function int64Of(value: bigint): Int64 {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return new Int64(bytes);
}

const scalars = ['bool', 'byte', 'i16', 'i32', 'i64', 'double', 'string', 'binary'] as const;

const isScalar = (shape: WireShape): boolean => !['list', 'set', 'map', 'struct'].includes(shape.kind);

/** npm thrift reads every bool of a container as false, so bools stay out of containers unless asked for. */
const shapes = (boolElements: boolean): fc.Arbitrary<WireShape> =>
  fc.letrec<{ any: WireShape; element: WireShape; struct: WireShape }>((tie) => {
    const containers = [
      fc.record({ kind: fc.constantFrom('list' as const, 'set' as const), element: tie('element') }),
      fc.record({ kind: fc.constant('map' as const), key: tie('element'), value: tie('element') }),
      tie('struct'),
    ];
    const scalar = fc.constantFrom(...scalars).map((kind): WireShape => ({ kind }));
    return {
      any: fc.oneof({ maxDepth: 4, depthSize: 'small' }, scalar, ...containers),
      element: fc.oneof(
        { maxDepth: 4, depthSize: 'small' },
        boolElements ? scalar : scalar.filter((shape) => shape.kind !== 'bool'),
        ...containers,
      ),
      struct: fc
        .uniqueArray(fc.record({ id: fc.integer({ min: -0x8000, max: 0x7fff }), shape: tie('any') }), {
          selector: (field) => field.id,
          maxLength: 4,
        })
        .map((fields): WireShape => ({ kind: 'struct', fields })),
    };
  }).struct;

function valuesOf(shape: WireShape): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'bool':
      return fc.boolean();
    case 'byte':
      return fc.integer({ min: -0x80, max: 0x7f });
    case 'i16':
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case 'i32':
      return fc.integer();
    case 'i64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case 'double':
      return fc.double().map((x) => (x === 0 ? 0 : x));
    case 'string':
      return fc.string({ unit: 'binary', maxLength: 60 });
    case 'binary':
      return fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString('hex'));
    case 'struct':
      return fc.tuple(...shape.fields.map((field) => valuesOf(field.shape)));
    case 'map':
      return fc.array(fc.tuple(valuesOf(shape.key), valuesOf(shape.value)), { maxLength: 3 });
    default:
      return fc.array(valuesOf(shape.element), { maxLength: isScalar(shape.element) ? 20 : 3, size: 'max' });
  }
}

export const wireStruct = (options: { boolElements: boolean }): fc.Arbitrary<WireValue> =>
  shapes(options.boolElements).chain((shape) => valuesOf(shape).map((value) => ({ shape, value })));

export function writeValue(p: WriteSide, shape: WireShape, value: unknown): void {
  if (shape.kind === 'bool') p.writeBool(value as boolean);
  else if (shape.kind === 'byte') p.writeByte(value as number);
  else if (shape.kind === 'i16') p.writeI16(value as number);
  else if (shape.kind === 'i32') p.writeI32(value as number);
  else if (shape.kind === 'i64') p.writeI64(int64Of(value as bigint));
  else if (shape.kind === 'double') p.writeDouble(value as number);
  else if (shape.kind === 'string') p.writeString(value as string);
  else if (shape.kind === 'binary') p.writeBinary(Buffer.from(value as string, 'hex'));
  else if (shape.kind === 'struct') writeStruct(p, shape.fields, value as unknown[]);
  else if (shape.kind === 'map') writeMap(p, shape, value as [unknown, unknown][]);
  else if (shape.kind === 'list' || shape.kind === 'set') writeElements(p, shape, value as unknown[]);
}

function writeMap(p: WriteSide, shape: { key: WireShape; value: WireShape }, entries: [unknown, unknown][]): void {
  p.writeMapBegin(typeOf(shape.key), typeOf(shape.value), entries.length);
  for (const [key, value] of entries) {
    writeValue(p, shape.key, key);
    writeValue(p, shape.value, value);
  }
  p.writeMapEnd();
}

function writeElements(p: WriteSide, shape: { kind: 'list' | 'set'; element: WireShape }, items: unknown[]): void {
  if (shape.kind === 'set') p.writeSetBegin(typeOf(shape.element), items.length);
  else p.writeListBegin(typeOf(shape.element), items.length);
  for (const item of items) writeValue(p, shape.element, item);
  if (shape.kind === 'set') p.writeSetEnd();
  else p.writeListEnd();
}

function writeStruct(p: WriteSide, fields: readonly { id: number; shape: WireShape }[], values: unknown[]): void {
  p.writeStructBegin('any');
  for (const [index, { id, shape }] of fields.entries()) {
    p.writeFieldBegin('any', typeOf(shape), id);
    writeValue(p, shape, values[index]);
    p.writeFieldEnd();
  }
  p.writeFieldStop();
  p.writeStructEnd();
}

/** Reads a value of the shape; throws an Error where types, counts or field numbers differ from it. */
export function readValue(p: ReadSide, shape: WireShape): unknown {
  switch (shape.kind) {
    case 'bool':
      return p.readBool();
    case 'byte':
      return p.readByte();
    case 'i16':
      return p.readI16();
    case 'i32':
      return p.readI32();
    case 'i64':
      return bigintOf(p.readI64());
    case 'double':
      return p.readDouble();
    case 'string':
      return p.readString();
    case 'binary':
      return p.readBinary().toString('hex');
    case 'struct':
      return readStruct(p, shape.fields);
    case 'map': {
      const { ktype, vtype, size } = p.readMapBegin();
      if (size > 0) same([ktype, vtype], [typeOf(shape.key), typeOf(shape.value)]);
      const entries = Array.from({ length: size }, () => [readValue(p, shape.key), readValue(p, shape.value)]);
      p.readMapEnd();
      return entries;
    }
    default: {
      const { etype, size } = shape.kind === 'set' ? p.readSetBegin() : p.readListBegin();
      same(etype, typeOf(shape.element));
      const items = Array.from({ length: size }, () => readValue(p, shape.element));
      if (shape.kind === 'set') p.readSetEnd();
      else p.readListEnd();
      return items;
    }
  }
}

function readStruct(p: ReadSide, fields: readonly { id: number; shape: WireShape }[]): unknown[] {
  p.readStructBegin();
  const values = fields.map(({ id, shape }) => {
    const { ftype, fid } = p.readFieldBegin();
    same([ftype, fid], [typeOf(shape), id]);
    const value = readValue(p, shape);
    p.readFieldEnd();
    return value;
  });
  same(p.readFieldBegin().ftype, ThriftType.stop);
  p.readStructEnd();
  return values;
}

function same(seen: unknown, expected: unknown): void {
  if (JSON.stringify(seen) !== JSON.stringify(expected)) throw new Error(`saw ${seen}, expected ${expected}`);
}
