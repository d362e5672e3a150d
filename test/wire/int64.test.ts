import { expect } from 'chai';
import { toInt64, toNumber } from '../../src/wire/int64.ts';
import { refusal } from '../support/errors.ts';
import { int64Of } from '../support/wireValue.ts';

describe('64-bit integers as numbers', () => {
  it('are exact up to 2^53 - 1 on both sides of zero', () => {
    for (const number of [
      0,
      1,
      -1,
      1_762_000_000_000,
      2 ** 32,
      -(2 ** 32) - 1,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    ]) {
      expect(toNumber(toInt64(number))).to.equal(number);
      expect(toNumber(int64Of(BigInt(number)))).to.equal(number);
    }
  });

  it('are refused beyond', () => {
    for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)])
      refusal(() => toNumber(int64Of(value)), 'wire_malformed');
    for (const number of [2 ** 53, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => toInt64(number)).to.throw(RangeError);
  });
});
