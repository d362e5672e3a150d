/** Thrift's type numbers as generated code uses them, and the compact protocol's as they travel (compact protocol specification). */
import { AllianceError } from '../core/errors.ts';

export const ThriftType = {
  stop: 0,
  bool: 2,
  byte: 3,
  double: 4,
  i16: 6,
  i32: 8,
  i64: 10,
  string: 11,
  struct: 12,
  map: 13,
  set: 14,
  list: 15,
  uuid: 16,
} as const;

export const compactTrue = 1;
export const compactFalse = 2;
export const protocolId = 0x82;
export const protocolVersion = 1;

/** Compact type -> Thrift type; 1 and 2 are true and false, and both name the type bool in containers. */
const thriftTypes = Uint8Array.of(0, 2, 2, 3, 6, 8, 10, 4, 11, 15, 14, 13, 12, 16, 255, 255);

const compactTypes = new Uint8Array(17).fill(255);
for (const [compact, thrift] of thriftTypes.entries()) if (thrift !== 255) compactTypes[thrift] = compact;
compactTypes[ThriftType.bool] = compactTrue;

/** Bytes that one value of a Thrift type takes at least; what a container claims is measured against it. */
const minimumSizes = new Uint8Array(17).fill(1);
minimumSizes[ThriftType.double] = 8;
minimumSizes[ThriftType.uuid] = 16;

export function malformed(details: string, field?: string): AllianceError {
  return new AllianceError('wire_malformed', field === undefined ? { details } : { details, field });
}

/** Thrift type of a compact nibble; throws wire_malformed on one that is not assigned. */
export function thriftTypeOf(nibble: number): number {
  const type = thriftTypes[nibble] as number;
  if (type === 255) throw malformed('A type is unknown.');
  return type;
}

/** Compact nibble of a Thrift type; throws TypeError on one that does not travel. */
export function compactTypeOf(type: number): number {
  const nibble = compactTypes[type];
  if (nibble === undefined || nibble === 255) throw new TypeError('This type cannot be written.');
  return nibble;
}

export const minimumSizeOf = (type: number): number => minimumSizes[type] as number;
