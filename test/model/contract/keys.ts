/** What every engine must do about keys: those of partners, and our own. */
import { expect } from 'chai';
import type { CloudId } from '../../../src/core/ids.ts';
import { identityLimits, sessionLimits } from '../../../src/core/limits.ts';
import { type NewPartnerKey, usableKeys } from '../../../src/model/partner.ts';
import { rejection } from '../../support/errors.ts';
import { newKey, newPartner, newSession, testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

export function describeKeys(bench: Bench): void {
  describe("partners' keys", () => {
    const states = async (cloudId: string): Promise<string[]> =>
      (await bench.store.partners.resolve(cloudId)).keys.map(({ state }) => state);

    it('rotate: both count during the overlap, the old one dies at the first use of the new one', async () => {
      const { partners } = bench.store;
      const { uid, keys } = await partners.add(newPartner('east'));
      const [old] = keys;
      const key = newKey();
      const oldFingerprint = old!.fingerprint;
      const overlapTill = testStart + 1000;
      const rotated = await partners.rotateKeys(uid, { sequence: 4, oldFingerprint, key, overlapTill });
      expect(rotated.rotationSequence).to.equal(4);
      expect(rotated.keys).to.deep.equal([
        { ...old, overlapTill },
        { ...key, state: 'next', overlapTill: null },
      ]);
      expect(usableKeys(rotated, testStart)).to.have.length(2);
      expect(usableKeys(rotated, testStart + 1000).map(({ state }) => state)).to.deep.equal(['next']);
      expect((await partners.findByFingerprint(key.fingerprint))?.uid).to.equal(uid);

      expect(await partners.retireOldKey(uid, old!.fingerprint)).to.equal(false);
      expect(await states('east')).to.deep.equal(['current', 'next']);
      expect(await partners.retireOldKey(uid, key.fingerprint)).to.equal(true);
      expect(await partners.retireOldKey(uid, key.fingerprint)).to.equal(false);
      const after = await partners.get(uid);
      expect(after.keys.map(({ state, overlapTill }) => [state, overlapTill])).to.deep.equal([
        ['current', null],
        ['retired', overlapTill],
      ]);
      expect(usableKeys(after, testStart).map(({ fingerprint }) => fingerprint)).to.deep.equal([key.fingerprint]);
    });

    it('rotate: the old one dies at the end of the overlap, used or not', async () => {
      const { store, clock } = bench;
      const { uid, keys } = await store.partners.add(newPartner('east'));
      const oldFingerprint = keys[0]!.fingerprint;
      const overlapTill = testStart + 1000;
      await store.partners.rotateKeys(uid, { sequence: 1, oldFingerprint, key: newKey(), overlapTill });
      await store.prune(clock.advance(999));
      expect(await states('east')).to.deep.equal(['current', 'next']);
      const epoch = await store.trustEpoch();
      await store.prune(clock.advance(1));
      expect(await states('east')).to.deep.equal(['current', 'retired']);
      expect(await store.trustEpoch()).to.equal(epoch + 1);
    });

    it('rotate once within an overlap, and again after it, with or without housekeeping', async () => {
      const { store, clock } = bench;
      const { uid, keys } = await store.partners.add(newPartner('east'));
      const [first, second, third] = [keys[0]!, newKey(), newKey()];
      const rotate = (sequence: number, { fingerprint }: NewPartnerKey, key: NewPartnerKey) =>
        store.partners.rotateKeys(uid, {
          sequence,
          oldFingerprint: fingerprint,
          key,
          overlapTill: clock.now() + 1000,
        });
      await rotate(1, first, second);
      await rejection(rotate(2, first, third), 'rotation_overlap');
      clock.advance(1000);
      await rotate(2, second, third);
      expect(await states('east')).to.deep.equal(['current', 'next', 'retired']);
    });

    it('rotate by the word of the current key only: one that was retired, or is about to be, decides nothing', async () => {
      const { store, clock } = bench;
      const { partners } = store;
      const { uid, keys } = await partners.add(newPartner('east'));
      const [first, second, evil] = [keys[0]!, newKey(), newKey()];
      const overlapTill = clock.now() + 1000;
      const rotation = { sequence: 1, oldFingerprint: first.fingerprint, key: second, overlapTill };
      const rotate = (sequence: number, { fingerprint: oldFingerprint }: NewPartnerKey) =>
        partners.rotateKeys(uid, { sequence, oldFingerprint, key: evil, overlapTill: clock.now() + 500 });
      await partners.rotateKeys(uid, rotation);
      await rejection(rotate(2, second), 'rotation_refused');
      await partners.retireOldKey(uid, second.fingerprint);
      await rejection(rotate(1000, first), 'rotation_refused');
      await rejection(rotate(1000, evil), 'rotation_refused');
      const told = await partners.rotateKeys(uid, rotation);
      expect([told.rotationSequence, told.keys.map(({ state }) => state)]).to.deep.equal([1, ['current', 'retired']]);

      // The end of the overlap retires a key as well, and nobody may have looked at the clock yet.
      await partners.rotateKeys(uid, { ...rotation, sequence: 2, oldFingerprint: second.fingerprint, key: newKey() });
      clock.advance(1000);
      await rejection(rotate(1000, second), 'rotation_refused');
      expect((await partners.get(uid)).rotationSequence).to.equal(2);
    });

    it('that expired announce no other', async () => {
      const { store, clock } = bench;
      const east = await store.partners.add(newPartner('east', { key: newKey({ notAfter: testStart + 10 }) }));
      clock.advance(10);
      const oldFingerprint = east.keys[0]!.fingerprint;
      const rotation = { sequence: 1, oldFingerprint, key: newKey(), overlapTill: clock.now() + 1000 };
      await rejection(store.partners.rotateKeys(east.uid, rotation), 'rotation_refused');
    });

    it('rotate: the same statement again changes nothing, an older one is refused', async () => {
      const { partners } = bench.store;
      const { uid, keys } = await partners.add(newPartner('east'));
      const oldFingerprint = keys[0]!.fingerprint;
      const rotation = { sequence: 5, oldFingerprint, key: newKey(), overlapTill: testStart + 1000 };
      const once = await partners.rotateKeys(uid, rotation);
      expect(await partners.rotateKeys(uid, rotation)).to.deep.equal(once);
      await rejection(partners.rotateKeys(uid, { ...rotation, key: newKey() }), 'rotation_old_sequence');
      await partners.retireOldKey(uid, rotation.key.fingerprint);
      const older = { ...rotation, sequence: 4, oldFingerprint: rotation.key.fingerprint, key: newKey() };
      await rejection(partners.rotateKeys(uid, older), 'rotation_old_sequence');
    });

    it('rotate only to a new key, valid, with an overlap of at most 30 days, of a partner that is trusted', async () => {
      const { store } = bench;
      const own = newKey();
      await store.identities.init({ ...own, cloudId: 'home' as CloudId });
      const west = await store.partners.add(newPartner('west'));
      const gone = await store.partners.add(newPartner('north'));
      await store.partners.remove(gone.uid, { notify: false });
      const { uid, keys } = await store.partners.add(newPartner('east'));
      const oldFingerprint = keys[0]!.fingerprint;
      const good = { sequence: 1, oldFingerprint, key: newKey(), overlapTill: testStart + 1000 };
      const longest = testStart + identityLimits.overlapMs + sessionLimits.skewMs;
      const bad = [
        { ...good, key: own },
        { ...good, key: west.keys[0]! },
        { ...good, key: gone.keys[0]! },
        { ...good, key: keys[0]! },
        { ...good, key: newKey({ notAfter: testStart }) },
        { ...good, overlapTill: testStart },
        { ...good, overlapTill: longest + 1 },
      ];
      for (const rotation of bad) await rejection(store.partners.rotateKeys(uid, rotation), 'rotation_refused');
      expect(await states('east')).to.deep.equal(['current']);
      await store.partners.rotateKeys(uid, { ...good, overlapTill: longest });
      await store.partners.apply(west.uid, 'revoke');
      const ofWest = { ...good, oldFingerprint: west.keys[0]!.fingerprint, key: newKey() };
      await rejection(store.partners.rotateKeys(west.uid, ofWest), 'rotation_refused');
    });

    it('that expired prove nothing', async () => {
      const { partners } = bench.store;
      const east = await partners.add(newPartner('east', { key: newKey({ notAfter: testStart + 10 }) }));
      expect(usableKeys(east, testStart + 9)).to.have.length(1);
      expect(usableKeys(east, testStart + 10)).to.have.length(0);
    });

    it('that were retired during a handshake get no session', async () => {
      const { store } = bench;
      const east = await store.partners.add(newPartner('east'));
      const key = newKey();
      const oldFingerprint = east.keys[0]!.fingerprint;
      await store.partners.rotateKeys(east.uid, { sequence: 1, oldFingerprint, key, overlapTill: testStart + 1000 });
      await store.sessions.insert(newSession(east));
      await store.partners.retireOldKey(east.uid, key.fingerprint);
      await rejection(store.sessions.insert(newSession(east)), 'ticket_refused');
    });
  });

  describe('our identities', () => {
    const cloudId = 'home' as CloudId;

    it('begin once', async () => {
      const { identities } = bench.store;
      expect(await identities.current()).to.equal(null);
      await rejection(identities.rotate(newKey(), { overlapTill: null }), 'not_initialised');
      const key = newKey();
      const first = await identities.init({ ...key, cloudId });
      expect(first).to.deep.equal({
        ...key,
        cloudId,
        state: 'current',
        sequence: 1,
        overlapTill: null,
        createdAt: testStart,
      });
      expect(await identities.current()).to.deep.equal(first);
      await rejection(identities.init({ ...newKey(), cloudId }), 'already_initialised');
    });

    it('rotate with an overlap, and not again within it', async () => {
      const { store, clock } = bench;
      const { identities } = store;
      await identities.init({ ...newKey(), cloudId });
      await rejection(identities.rotate(newKey(), { overlapTill: testStart }), 'bad_request');
      const overlapTill = testStart + identityLimits.overlapMs;
      await rejection(identities.rotate(newKey(), { overlapTill: overlapTill + 1 }), 'bad_request');
      const epoch = await store.trustEpoch();
      const second = await identities.rotate(newKey(), { overlapTill });
      expect(await store.trustEpoch()).to.equal(epoch + 1);
      expect(second.sequence).to.equal(2);
      expect((await identities.list()).map(({ state }) => state)).to.deep.equal(['current', 'overlap']);
      await rejection(identities.rotate(newKey(), { overlapTill }), 'rotation_overlap');
      await store.prune(clock.advance(identityLimits.overlapMs));
      expect((await identities.list()).map(({ state }) => state)).to.deep.equal(['current', 'retired']);
      await identities.rotate(newKey(), { overlapTill: clock.now() + 1 });
    });

    it('that are compromised die at once, with all sessions', async () => {
      const { store } = bench;
      const { identities } = store;
      const first = newKey();
      await identities.init({ ...first, cloudId });
      await identities.rotate(newKey(), { overlapTill: testStart + 1000 });
      await store.sessions.insert(newSession(await store.partners.add(newPartner('east'))));
      await rejection(identities.rotate(first, { overlapTill: null }), 'identity_known');
      expect(await store.sessions.list()).to.have.length(1);
      const third = await identities.rotate(newKey(), { overlapTill: null });
      expect((await identities.list()).map(({ state }) => state)).to.deep.equal(['current', 'retired', 'retired']);
      expect(await identities.current()).to.deep.equal(third);
      expect(await store.sessions.list()).to.deep.equal([]);
    });

    it('end an overlap early when told so; the current one stays', async () => {
      const { identities } = bench.store;
      const first = await identities.init({ ...newKey(), cloudId });
      const second = await identities.rotate(newKey(), { overlapTill: testStart + 1000 });
      await identities.retire(second.fingerprint);
      await identities.retire(first.fingerprint);
      expect((await identities.list()).map(({ state }) => state)).to.deep.equal(['current', 'retired']);
    });

    it('are acknowledged by those who pair with them', async () => {
      const { store } = bench;
      await store.identities.init({ ...newKey(), cloudId });
      await store.identities.rotate(newKey(), { overlapTill: testStart + 1000 });
      expect((await store.partners.add(newPartner('east'))).acknowledgedSequence).to.equal(2);
      const west = await store.partners.add(newPartner('west', { acknowledgedSequence: 1 }));
      expect(west.acknowledgedSequence).to.equal(1);
    });
  });
}
