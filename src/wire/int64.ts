/** 64-bit integers: Int64 of node-int64 on the wire, plain numbers for times and counters. */
import Int64 from 'node-int64';
import { malformed } from './compactTypes.ts';

export { Int64 };

/** The exact number; throws wire_malformed where a number cannot hold it. */
export function toNumber(value: Int64): number {
  const number = value.buffer.readInt32BE(value.offset) * 0x1_0000_0000 + value.buffer.readUInt32BE(value.offset + 4);
  if (!Number.isSafeInteger(number)) throw malformed('An integer is beyond 2^53.');
  return number;
}

/** From a safe integer; throws RangeError on anything else. */
export function toInt64(value: number): Int64 {
  if (!Number.isSafeInteger(value)) throw new RangeError('A safe integer was expected.');
  return new Int64(value);
}
