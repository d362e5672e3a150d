/** Arbitrary arguments and results of every method, drawn from the contract itself, and a plain form to compare them in. */
import fc from 'fast-check';
import { enums, type FieldShape, methods, structs, type TypeText } from '../../src/gen/AllianceService_shapes.js';
import { Int64 } from '../../src/wire/int64.ts';
import type { MethodName } from '../../src/wire/methods.ts';
import { bigintOf, int64Of } from './wireValue.ts';

function valuesOf(text: TypeText): fc.Arbitrary<unknown> {
  const [kind, inner] = text;
  if (kind === 'struct') return membersOf(structs[String(inner)] ?? []);
  if (kind === 'enum') return fc.constantFrom(...(enums[String(inner)] ?? []));
  if (kind === 'list') return fc.array(valuesOf(inner as TypeText), { maxLength: 20 });
  if (kind === 'map') return mapsOf(text[1] as TypeText, text[2] as TypeText);
  if (kind === 'string') return fc.string({ unit: 'binary', maxLength: 80 });
  if (kind === 'binary') return fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
  if (kind === 'i32') return fc.integer();
  if (kind === 'i64') return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(int64Of);
  if (kind === 'bool') return fc.boolean();
  throw new Error(`No values for ${kind}.`);
}

/** Generated code holds them in objects, which have no room for a key of that name. */
const mapsOf = (key: TypeText, value: TypeText): fc.Arbitrary<unknown> =>
  fc
    .dictionary(valuesOf(key) as fc.Arbitrary<string>, valuesOf(value), { maxKeys: 20, noNullPrototype: true })
    .filter((map) => !Object.hasOwn(map, '__proto__'));

const membersOf = (fields: readonly FieldShape[]): fc.Arbitrary<object> =>
  fc.record(Object.fromEntries(fields.map((field) => [field.name, valuesOf(field.type)])), {
    requiredKeys: fields.filter((field) => field.required).map((field) => field.name),
  });

/** undefined for a method without an argument. */
export function argumentsOf(method: MethodName): fc.Arbitrary<unknown> {
  const [field] = methods[method]?.arguments ?? [];
  return field === undefined ? fc.constant(undefined) : valuesOf(field.type);
}

/** undefined for a void method. */
export function resultsOf(method: MethodName): fc.Arbitrary<unknown> {
  const [field] = methods[method]?.result ?? [];
  return field?.name === 'success' ? valuesOf(field.type) : fc.constant(undefined);
}

export const argumentName = (method: MethodName): string | undefined => methods[method]?.arguments[0]?.name;

/** Without classes, absent members and buffers: what two values must have in common to be the same. */
export function plain(value: unknown): unknown {
  if (value instanceof Int64) return bigintOf(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  const members = Object.entries(value).filter(([, member]) => member !== undefined && member !== null);
  return Object.fromEntries(members.map(([name, member]) => [name, plain(member)]));
}
