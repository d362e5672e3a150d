import { expect } from 'chai';
import fc from 'fast-check';
import { median, medianRatio } from '../../bench/statistics.ts';

describe('sums of the benchmark', () => {
  it('the median is in the middle, whatever the order', () => {
    expect(median([5, 1, 3])).to.equal(3);
    expect(median([10, 2, 1, 9])).to.equal(5.5);
    expect(median([7])).to.equal(7);
    expect(() => median([])).to.throw(RangeError);
  });

  it('as many values lie above the median as below it, and the values stay in their order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const before = [...values];
        const middle = median(values);
        expect(values).to.deep.equal(before);
        const above = values.filter((value) => value > middle).length;
        const below = values.filter((value) => value < middle).length;
        expect(Math.max(above, below)).to.be.at.most(values.length / 2);
      }),
    );
  });

  it('a ratio is taken within each round, so that the pace of the machine does not count', () => {
    const paces = [1, 0.5, 2, 0.25, 1.5];
    const a = paces.map((pace) => 300 * pace);
    const b = paces.map((pace) => 100 * pace);
    expect(medianRatio(a, b)).to.equal(3);
    expect(medianRatio([2, 20, 8], [1, 4, 2])).to.equal(4);
    expect(() => medianRatio([1, 2], [1])).to.throw(RangeError);
  });
});
