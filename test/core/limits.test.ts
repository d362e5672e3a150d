/** Bounds that only make sense together. */
import { expect } from 'chai';
import * as limits from '../../src/core/limits.ts';

describe('limits', () => {
  it('are all positive numbers', () => {
    const values = Object.values(limits).flatMap((group) => Object.values(group).flat());
    expect(values.length).to.be.greaterThan(50);
    for (const value of values) expect(value).to.be.a('number').that.is.greaterThan(0);
  });

  it('fit into each other', () => {
    const { wireLimits, sessionLimits, pairingLimits, clientLimits, keystoneLimits, storeLimits } = limits;
    expect(sessionLimits.ticketBytes).to.be.lessThan(wireLimits.plainFrameBytes);
    expect(pairingLimits.cardBytes).to.be.lessThan(wireLimits.plainFrameBytes);
    expect(wireLimits.batchBytes).to.be.lessThan(wireLimits.sealedFrameBytes);
    expect(sessionLimits.lifeMs).to.be.lessThan(sessionLimits.maxLifeMs);
    expect(sessionLimits.replayMs).to.be.greaterThan(2 * sessionLimits.skewMs);
    expect(pairingLimits.ttlMs).to.be.lessThan(pairingLimits.maxTtlMs);
    expect(keystoneLimits.requestTimeoutMs).to.be.lessThan(clientLimits.callTimeoutMs);
    expect(storeLimits.feedPayloadBytes).to.be.lessThan(wireLimits.sealedFrameBytes);
  });
});
