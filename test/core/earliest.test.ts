import { expect } from 'chai';
import fc from 'fast-check';
import { Earliest } from '../../src/core/earliest.ts';

describe('core/earliest', () => {
  it('gives the earliest first, in whatever order they come and go', () => {
    const step = fc.option(fc.integer({ min: 0, max: 20 }), { nil: 'pop' as const });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const heap = new Earliest<number>();
        const expected: number[] = [];
        for (const each of [...steps, ...steps.map(() => 'pop' as const)]) {
          if (each === 'pop') expect(heap.pop()).to.equal(expected.shift());
          else {
            heap.push(each, each);
            expected.push(each);
            expected.sort((one, other) => one - other);
          }
        }
      }),
    );
  });
});
