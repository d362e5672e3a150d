/** What every engine must do about sessions. */
import { expect } from 'chai';
import { sessionLimits } from '../../../src/core/limits.ts';
import type { Partner } from '../../../src/model/partner.ts';
import type { StoredSession } from '../../../src/model/session.ts';
import { rejection } from '../../support/errors.ts';
import { newKey, newPartner, newSession, testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

export function describeSessions(bench: Bench): void {
  describe('sessions', () => {
    let east: Partner;

    beforeEach(async () => {
      east = await bench.store.partners.add(newPartner('east'));
    });

    const insert = async (count: number, changes: Partial<StoredSession> = {}): Promise<StoredSession[]> => {
      const made: StoredSession[] = [];
      for (let i = 0; i < count; i++) {
        const createdAt = (changes.createdAt ?? testStart) + i;
        made.push(newSession(east, { ...changes, createdAt }));
        await bench.store.sessions.insert(made[i]!);
      }
      return made;
    };
    const live = async (sessions: readonly StoredSession[], now = testStart): Promise<boolean[]> =>
      Promise.all(sessions.map(async (s) => (await bench.store.sessions.findLive(s.sid, s.direction, now)) !== null));

    it('come back as they were stored, for their direction, until valid_till', async () => {
      const { sessions } = bench.store;
      const session = newSession(east, { direction: 'initiator', validTill: testStart + 100 });
      await sessions.insert(session);
      expect(await sessions.findLive(session.sid, 'initiator', testStart + 99)).to.deep.equal(session);
      expect(await sessions.newest(east.uid, 'initiator', testStart + 99)).to.deep.equal(session);
      expect(await sessions.findLive(session.sid, 'initiator', testStart + 100)).to.equal(null);
      expect(await sessions.newest(east.uid, 'initiator', testStart + 100)).to.equal(null);
      expect(await sessions.findLive(session.sid, 'responder', testStart)).to.equal(null);
      expect(await sessions.newest(east.uid, 'responder', testStart)).to.equal(null);
      expect(await sessions.list(east.uid)).to.have.length(1);
    });

    it('are not replaced by one with the same id, whoever chose it', async () => {
      const { sessions, partners } = bench.store;
      const west = await partners.add(newPartner('west'));
      const session = newSession(east, { direction: 'initiator' });
      await sessions.insert(session);
      await rejection(
        sessions.insert(newSession(west, { sid: session.sid, direction: 'initiator' })),
        'session_invalid',
      );
      expect(await sessions.findLive(session.sid, 'initiator', testStart)).to.deep.equal(session);
      await sessions.insert(newSession(west, { sid: session.sid }));
      await sessions.close(session.sid, 'responder');
      expect(await live([session])).to.deep.equal([true]);
    });

    it('may start anew without continuity once per permission, while it lasts, and not when they are not stored', async () => {
      const { sessions, partners } = bench.store;
      const start = (changes: Partial<StoredSession> = {}) =>
        sessions.insert(newSession(east, changes), { attempt: 'bootstrap', usesGrant: true });
      const granted = async () => (await partners.get(east.uid)).continuityGrantedTill;
      await rejection(start(), 'continuity_required');
      const till = testStart + 20;
      await partners.update(east.uid, { continuityGrantedTill: till });
      await rejection(start({ createdAt: till }), 'continuity_required');
      const [stored] = await insert(1);
      expect(await granted()).to.equal(till);
      await rejection(start({ sid: stored!.sid }), 'session_invalid');
      await rejection(start({ partnerFingerprint: newKey().fingerprint }), 'ticket_refused');
      expect(await granted()).to.equal(till);
      const outcomes = await Promise.allSettled([1, 2, 3].map(() => start()));
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
      expect(await granted()).to.equal(null);
      expect(await sessions.list()).to.have.length(2);
    });

    it('are confirmed once', async () => {
      const { sessions } = bench.store;
      const [session] = await insert(1);
      await sessions.confirm(session!.sid, 5, 'initiator');
      expect((await sessions.list())[0]!.confirmedAt).to.equal(null);
      await sessions.confirm(session!.sid, 6);
      await sessions.confirm(session!.sid, 7);
      expect((await sessions.list())[0]!.confirmedAt).to.equal(6);
    });

    it('are at most 8 a partner and direction: never confirmed ones go first, oldest first, the new one stays', async () => {
      const { sessions } = bench.store;
      const { livePerPartner, pendingMs } = sessionLimits;
      const confirmed = await insert(4, { confirmedAt: testStart });
      const unconfirmed = await insert(4, { createdAt: testStart + 100 });
      const others = await insert(8, { direction: 'initiator' });
      const later = testStart + 200 + pendingMs;
      await insert(1, { createdAt: later, confirmedAt: later });
      expect(await live(unconfirmed)).to.deep.equal([false, true, true, true]);
      await insert(3, { createdAt: later + 100, confirmedAt: later });
      expect(await live(unconfirmed)).to.deep.equal([false, false, false, false]);
      expect(await live(confirmed)).to.deep.equal([true, true, true, true]);
      const [last] = await insert(1, { createdAt: testStart, confirmedAt: testStart });
      expect(await live([last!])).to.deep.equal([true]);
      expect(await live(others)).to.deep.equal(others.map(() => true));
      const left = (await sessions.list(east.uid)).filter((one) => one.hasSecret);
      expect(left.filter((one) => one.direction === 'responder')).to.have.length(livePerPartner);
    });

    it('just agreed do not push each other out before they can attach: up to 16 are counted apart, for 5 s', async () => {
      const { sessions } = bench.store;
      const { pendingPerPartner, pendingMs } = sessionLimits;
      const confirmed = await insert(8, { confirmedAt: testStart });
      const pending = await insert(pendingPerPartner, { createdAt: testStart + 100 });
      expect(await live([...confirmed, ...pending])).to.not.include(false);
      await insert(1, { createdAt: testStart + 200 });
      expect(await live(pending)).to.deep.equal([false, ...pending.slice(1).map(() => true)]);
      expect(await live(confirmed)).to.not.include(false);

      await sessions.confirm(pending[9]!.sid, testStart + 300);
      await insert(1, { createdAt: testStart + 200 + pendingMs });
      expect(await live(pending)).to.deep.equal(pending.map(({ sid }) => sid === pending[9]!.sid));
      expect(await live(confirmed)).to.deep.equal([false, ...confirmed.slice(1).map(() => true)]);
    });

    it('of eight processes that keep confirming them are replaced oldest first', async () => {
      const made = await insert(9, { confirmedAt: testStart });
      expect(await live(made)).to.deep.equal([false, ...made.slice(1).map(() => true)]);
    });

    it('leave continuity behind when their secret is wiped, for 30 days', async () => {
      const { store, clock } = bench;
      const { sessions } = store;
      const [session] = await insert(1);
      await store.prune(clock.advance(sessionLimits.lifeMs));
      const [facts] = await sessions.list(east.uid);
      expect(facts).to.include({ sid: session!.sid, hasSecret: false, hasContinuity: true });
      const found = await sessions.findContinuity(east.uid, 'responder', session!.sid, clock.now());
      expect(found).to.deep.equal({ sid: session!.sid, key: session!.continuity });
      const end = testStart + sessionLimits.continuityMs;
      expect(await sessions.findContinuity(east.uid, 'responder', null, end - 1)).to.deep.equal(found);
      expect(await sessions.findContinuity(east.uid, 'responder', null, end)).to.equal(null);
      await store.prune(end);
      expect(await sessions.list()).to.deep.equal([]);
    });

    it('leave at most 8 continuity keys besides those just agreed; the confirmed and newest is used next', async () => {
      const { store, clock } = bench;
      const old = await insert(10, { confirmedAt: testStart });
      await store.prune(clock.advance(sessionLimits.lifeMs));
      const recent = await insert(4, { createdAt: clock.now() });
      const facts = await store.sessions.list(east.uid);
      const kept = facts.filter(({ hasContinuity }) => hasContinuity).map(({ sid }) => sid);
      const expected = [...old.slice(-sessionLimits.continuityPerPartner), ...recent].map(({ sid }) => sid);
      expect(kept).to.have.members(expected);
      const next = await store.sessions.findContinuity(east.uid, 'responder', null, clock.now());
      expect(next?.sid).to.equal(old[9]!.sid);
      await store.sessions.confirm(recent[3]!.sid, clock.now());
      const then = await store.sessions.findContinuity(east.uid, 'responder', null, clock.now());
      expect(then).to.deep.equal({ sid: recent[3]!.sid, key: recent[3]!.continuity });
    });

    it('stay usable when their continuity key made room for others', async () => {
      const { store, clock } = bench;
      await insert(8, { confirmedAt: testStart });
      await store.prune(clock.advance(sessionLimits.lifeMs));
      const [recent] = await insert(1, { createdAt: clock.now() });
      await insert(1, { createdAt: clock.now() + sessionLimits.pendingMs });
      const found = await store.sessions.findLive(recent!.sid, 'responder', clock.now());
      expect(found).to.deep.equal({ ...recent, continuity: null });
    });

    it('belong to one partner and direction, also for continuity', async () => {
      const { sessions, partners } = bench.store;
      const west = await partners.add(newPartner('west'));
      const [session] = await insert(1);
      expect(await sessions.findContinuity(west.uid, 'responder', session!.sid, testStart)).to.equal(null);
      expect(await sessions.findContinuity(east.uid, 'initiator', session!.sid, testStart)).to.equal(null);
      expect(await sessions.isKnown(east.uid, 'responder', testStart)).to.equal(true);
      expect(await sessions.isKnown(west.uid, 'responder', testStart)).to.equal(false);
      expect(await sessions.isKnown(east.uid, 'initiator', testStart)).to.equal(false);
    });

    it('make their partner known as long as they, or their continuity, are good', async () => {
      const { sessions } = bench.store;
      const [session] = await insert(1, { validTill: testStart + 100, continuityTill: testStart + 200 });
      const known = (now: number) => sessions.isKnown(east.uid, 'responder', now);
      expect(await Promise.all([99, 100, 199, 200].map((after) => known(testStart + after)))).to.deep.equal([
        true,
        true,
        true,
        false,
      ]);
      await sessions.close(session!.sid);
      expect(await known(testStart)).to.equal(false);
    });

    it('end for good, and bump the trust epoch when there was something to end', async () => {
      const { store } = bench;
      const key = newKey();
      const west = await store.partners.add(newPartner('west', { key }));
      const own = Buffer.alloc(32, 9);
      const [first] = await insert(3);
      const [other] = await insert(1, { ownFingerprint: own });
      await store.sessions.insert(newSession(west));
      const epoch = await store.trustEpoch();
      expect(await store.sessions.close(first!.sid)).to.equal(true);
      expect(await store.sessions.close(first!.sid)).to.equal(false);
      expect(await store.sessions.findContinuity(east.uid, 'responder', first!.sid, testStart)).to.equal(null);
      expect(await store.sessions.deleteForKey(own)).to.equal(1);
      expect(await live([other!])).to.deep.equal([false]);
      expect(await store.sessions.deleteForKey(key.fingerprint)).to.equal(1);
      expect(await store.sessions.deleteForPartner(east.uid)).to.equal(2);
      expect(await store.sessions.deleteForPartner(east.uid)).to.equal(0);
      expect(await store.trustEpoch()).to.equal(epoch + 4);
    });

    it('are not agreed with a partner that is not there', async () => {
      const session = newSession(east);
      await bench.store.partners.remove(east.uid, { notify: false });
      await rejection(bench.store.sessions.insert(session), 'partner_not_active');
    });
  });
}
