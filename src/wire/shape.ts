/**
 * Checks bytes against the contract before generated code reads them: generated code takes absent required members as undefined,
 * skips members of a wrong type, ignores the element type of lists and lets any number pass for an enum.
 *
 * The check makes no objects, so that a hostile message fails before it has cost any memory.
 */
import { enums, type FieldShape, structs, type TypeText } from '../gen/AllianceService_shapes.js';
import { malformed, ThriftType } from './compactTypes.ts';
import type { CompactReader } from './reader.ts';

/**
 * Classes, and with every property set in the same order: the checks look at shapes for each value of each message, and V8 gives
 * objects that spreading made a hidden class each, which makes every look a search.
 */
class ValueShape {
  /** Thrift type number. */
  readonly type: number;
  readonly struct: StructShape | undefined;
  readonly values: ReadonlySet<number> | undefined;
  readonly elements: readonly ValueShape[] | undefined;

  constructor({ type, struct, values, elements }: Pick<ValueShape, 'type'> & Partial<ValueShape>) {
    this.type = type;
    this.struct = struct;
    this.values = values;
    this.elements = elements;
  }
}

class MemberShape extends ValueShape {
  readonly name: string;
  /** Bit of this member among those seen. */
  readonly bit: number;

  constructor(shape: ValueShape, name: string, bit: number) {
    super(shape);
    this.name = name;
    this.bit = bit;
  }
}

export type { ValueShape };

/** Struct with members by field number; `required` has the bits of those that must be there. */
export interface StructShape {
  readonly members: readonly (MemberShape | undefined)[];
  required: number;
}

const typeNumbers = new Map<string, number>([
  ['bool', ThriftType.bool],
  ['i8', ThriftType.byte],
  ['i16', ThriftType.i16],
  ['i32', ThriftType.i32],
  ['i64', ThriftType.i64],
  ['double', ThriftType.double],
  ['string', ThriftType.string],
  ['binary', ThriftType.string],
  ['uuid', ThriftType.uuid],
  ['enum', ThriftType.i32],
  ['struct', ThriftType.struct],
  ['list', ThriftType.list],
  ['set', ThriftType.set],
  ['map', ThriftType.map],
]);

const structShapes = new Map<string, StructShape>();

/** The shape of a struct of the IDL; structs may contain themselves. */
function namedStruct(name: string): StructShape {
  const known = structShapes.get(name);
  if (known !== undefined) return known;
  const members: (MemberShape | undefined)[] = [];
  const shape: StructShape = { members, required: 0 };
  structShapes.set(name, shape);
  shape.required = addMembers(members, structs[name] ?? []);
  return shape;
}

function valueShape(text: TypeText): ValueShape {
  const [kind, ...rest] = text;
  const type = typeNumbers.get(kind);
  if (type === undefined) throw new TypeError(`No such type: ${kind}`);
  if (kind === 'struct') return new ValueShape({ type, struct: namedStruct(String(rest[0])) });
  if (kind === 'enum') return new ValueShape({ type, values: new Set(enums[String(rest[0])]) });
  if (rest.length === 0) return new ValueShape({ type });
  return new ValueShape({ type, elements: rest.map((part) => valueShape(part as TypeText)) });
}

/** Adds the fields, and returns the bits of the required ones. */
function addMembers(members: (MemberShape | undefined)[], fields: readonly FieldShape[]): number {
  if (fields.length > 31) throw new TypeError('A struct of the contract has more than 31 members.');
  let required = 0;
  for (const [index, field] of fields.entries()) {
    const bit = 1 << index;
    members[field.id] = new MemberShape(valueShape(field.type), field.name, bit);
    if (field.required) required |= bit;
  }
  return required;
}

export function structShape(fields: readonly FieldShape[]): StructShape {
  const members: (MemberShape | undefined)[] = [];
  return { members, required: addMembers(members, fields) };
}

/** Reads one struct through and throws wire_malformed, naming the field, where it differs from the shape. */
export function checkStruct(reader: CompactReader, shape: StructShape): void {
  let seen = 0;
  reader.readStructBegin();
  for (;;) {
    const field = reader.readFieldBegin();
    const type = field.ftype;
    if (type === ThriftType.stop) break;
    const member = shape.members[field.fid];
    if (member === undefined) {
      reader.skip(type);
      continue;
    }
    if (member.type !== type) throw malformed(`${member.name} has the wrong type.`, member.name);
    if ((seen & member.bit) !== 0) throw malformed(`${member.name} is there twice.`, member.name);
    seen |= member.bit;
    checkValue(reader, member, member.name);
  }
  reader.readStructEnd();
  if ((seen & shape.required) !== shape.required) throw missing(shape, seen);
}

function missing(shape: StructShape, seen: number): Error {
  const name = shape.members.find((m) => m !== undefined && (shape.required & m.bit & ~seen) !== 0)?.name;
  return malformed(`${name} is missing.`, name);
}

function checkValue(reader: CompactReader, shape: ValueShape, name: string): void {
  if (shape.struct !== undefined) checkStruct(reader, shape.struct);
  else if (shape.values !== undefined) {
    if (!shape.values.has(reader.readI32())) throw malformed(`${name} has an unknown value.`, name);
  } else if (shape.elements !== undefined) checkElements(reader, shape.type, shape.elements, name);
  else reader.skip(shape.type);
}

function checkElements(reader: CompactReader, type: number, elements: readonly ValueShape[], name: string): void {
  const [first, second] = elements as readonly [ValueShape, ValueShape | undefined];
  if (second !== undefined) {
    const { ktype, vtype, size } = reader.readMapBegin();
    if (size > 0 && (ktype !== first.type || vtype !== second.type))
      throw malformed(`${name} has the wrong type.`, name);
    for (let i = 0; i < size; i++) {
      checkValue(reader, first, name);
      checkValue(reader, second, name);
    }
    reader.readMapEnd();
    return;
  }
  const { etype, size } = type === ThriftType.set ? reader.readSetBegin() : reader.readListBegin();
  if (size > 0 && etype !== first.type) throw malformed(`${name} has the wrong type.`, name);
  for (let i = 0; i < size; i++) checkValue(reader, first, name);
  reader.readListEnd();
}
