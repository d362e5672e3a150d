/** A partner that did not hear of the end of the trust at once. */
import { expect } from 'chai';
import fc from 'fast-check';
import { isNoticeDue } from '../../src/broker/notices.ts';
import { endTrust } from '../../src/broker/partners.ts';
import { AllianceError } from '../../src/core/errors.ts';
import { taskLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { createShiftedClock, type ShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { startFalsePartner, stopFalsePartners } from '../support/falsePartner.ts';
import { until } from '../support/until.ts';

describe('the notice of the end of a trust', () => {
  let clock: ShiftedClock;
  let east: Cloud;

  beforeEach(async () => {
    clock = createShiftedClock();
    east = await startCloud({ cloudId: 'east', clock, pauses: { noticeMs: 20 } });
  });
  afterEach(async () => {
    await stopFalsePartners();
    await stopClouds();
  });

  const last = async (cloudId: string) => (await east.partner(cloudId)).lastError;

  it('is not dropped for a refusal over plain TCP, which anybody may have sent', async () => {
    const { partner, methods } = await startFalsePartner(east, {
      ticket: () => {
        throw new AllianceError('ticket_refused');
      },
    });
    expect(await endTrust(east.installation, partner, 'revoked')).to.deep.equal({ told: false });
    const before = methods.length;
    await until('it was tried again, twice', () => methods.length >= before + 2);
    await until('that was noted', async () => (await last(partner.cloudId))?.name === 'unreachable');
    expect((await east.partner(partner.cloudId)).noticePending).to.equal('revoked');
    clock.advance(taskLimits.noticeGiveUpMs);
    await until('it is given up', async () => (await east.partner(partner.cloudId)).noticePending === null);
  });

  describe('to another cloud', () => {
    let west: Cloud;
    let atEast: Partner;
    let atWest: Partner;

    beforeEach(async () => {
      west = await startCloud({ cloudId: 'west', clock });
      ({ atInviter: atEast, atAcceptor: atWest } = await pairClouds(east, west));
    });

    it('comes later to one that has suspended us', async () => {
      const { store, view } = west.installation;
      await store.partners.apply(atWest.uid, 'suspend');
      await view.refresh();
      expect(await endTrust(east.installation, atEast, 'revoked')).to.deep.equal({ told: false });
      await until('it was refused', async () => (await last('west'))?.name === 'partner_not_active');
      expect((await east.partner('west')).noticePending).to.equal('revoked');
      await store.partners.apply(atWest.uid, 'resume');
      await until('west knows', async () => (await west.partner('east')).revokedBy === 'partner', 8000);
      await until('east knows that', async () => (await east.partner('west')).noticePending === null);
    });

    it('is not for one that has forgotten us, as its own key says', async () => {
      const { store, view } = west.installation;
      await store.partners.remove(atWest.uid, { notify: false });
      await view.refresh();
      expect(await endTrust(east.installation, atEast, 'revoked')).to.deep.equal({ told: false });
      await until('east knows that', async () => (await east.partner('west')).noticePending === null);
    });
  });

  it('is tried less and less often, and at least every hour', () => {
    const { noticeMs, noticePauseMaxMs, noticeGiveUpMs } = taskLimits;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: 1, max: 5000 }), (firstMs, tookMs) => {
        const tried: number[] = [];
        let lastError: Partner['lastError'] = { at: -1, code: 1004, name: 'unreachable', message: 'before' };
        for (let now = firstMs; now < noticeGiveUpMs; now += noticeMs) {
          if (!isNoticeDue({ updatedAt: 0, lastError }, now)) continue;
          tried.push(now);
          lastError = { at: now + tookMs, code: 1004, name: 'unreachable', message: 'no route' };
        }
        const pauses = tried.slice(1).map((at, n) => at - tried[n]!);
        expect(Math.max(...pauses)).to.be.within(noticePauseMaxMs, noticePauseMaxMs + 2 * noticeMs);
        for (const [n, pause] of pauses.entries())
          expect(pause)
            .to.be.at.least(Math.min(tried[n]!, noticePauseMaxMs))
            .and.at.most(tried[n]! + 2 * noticeMs);
        expect(tried.length).to.be.lessThan(noticeGiveUpMs / noticePauseMaxMs + 20);
      }),
    );
    const lastError = { at: 5000, code: 1004, name: 'unreachable', message: 'no route' };
    expect(isNoticeDue({ updatedAt: 0, lastError }, 4000), 'after a step of the clock').to.equal(true);
  });
});
