import { expect } from 'chai';
import { sessionLimits } from '../../src/core/limits.ts';
import { createSignQueue } from '../../src/server/signQueue.ts';
import { rejection } from '../support/errors.ts';

describe('sign queue', () => {
  it('runs a few at a time, lets so many wait, and refuses more', async () => {
    const sign = createSignQueue();
    const finish: (() => void)[] = [];
    const work = () => new Promise<void>((resolve) => finish.push(resolve));
    const all = Array.from({ length: sessionLimits.signQueue + 4 }, () => sign(work));
    expect(finish).to.have.length(4);
    const refusal = await rejection(sign(work), 'overloaded');
    expect(refusal.retryAfterMs).to.be.greaterThan(0);
    while (finish.length > 0) {
      finish.shift()!();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(all);
    expect(await sign(async () => 7)).to.equal(7);
  });
});
