import { expect } from 'chai';
import { systemClock } from '../../src/core/clock.ts';

describe('clock', () => {
  it('tells UTC epoch milliseconds', () => {
    const before = Date.now();
    expect(systemClock.now()).to.be.within(before, Date.now());
  });
});
