import { expect } from 'chai';
import fc from 'fast-check';
import { type Channel, isDue } from '../../src/client/channel.ts';
import { channelLimits } from '../../src/core/limits.ts';

const channel = (openedAt: number, endsAt: number, usedShare: number): Channel =>
  ({ openedAt, endsAt, connection: { usedShare } }) as unknown as Channel;

describe('the successor of a channel', () => {
  it('is due after three quarters of its life or of its use, whichever comes first', () => {
    const lives = fc.tuple(fc.integer({ min: 0, max: 2 ** 41 }), fc.integer({ min: 1, max: 86_400_000 }));
    const shares = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(lives, shares, shares, ([openedAt, lifeMs], age, used) => {
        const now = openedAt + lifeMs * age;
        const share = (now - openedAt) / lifeMs;
        const expected = share >= channelLimits.renewAtShare || used >= channelLimits.renewAtShare;
        expect(isDue(channel(openedAt, openedAt + lifeMs, used), now)).to.equal(expected);
      }),
    );
  });
});
