/** What every engine must do about partners. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { AllianceError } from '../../../src/core/errors.ts';
import type { CloudId, PartnerUid } from '../../../src/core/ids.ts';
import { storeLimits, timeLimits } from '../../../src/core/limits.ts';
import type { Store } from '../../../src/model/store.ts';
import { effectiveState, nextState, type TrustEvent, trustEvents } from '../../../src/model/trust.ts';
import { rejection } from '../../support/errors.ts';
import { newKey, newPartner, newSession, testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

export function describePartners(bench: Bench): void {
  const bumps = async (store: Store, act: () => Promise<unknown>): Promise<number> => {
    const before = await store.trustEpoch();
    await act();
    return (await store.trustEpoch()) - before;
  };

  describe('partners', () => {
    it('are stored with all that they were added with', async () => {
      const { store } = bench;
      const key = newKey({ algorithm: 'EdDSA' });
      const added = await store.partners.add(
        newPartner('east', {
          key,
          name: 'sunrise',
          role: 'provider',
          state: 'pending',
          approval: 'partner',
          code: 'ABCD-EFGH',
          trustTill: testStart + 5000,
          endpoints: ['tls://a:1', 'tcp://b:2'],
          binding: 'exporter',
        }),
      );
      const { uid, ...rest } = added;
      expect(uid).to.match(/^[a-z2-7]{26}$/);
      expect(rest).to.deep.equal({
        cloudId: 'east',
        name: 'sunrise',
        role: 'provider',
        state: 'pending',
        approval: 'partner',
        code: 'ABCD-EFGH',
        trustSince: testStart,
        trustTill: testStart + 5000,
        endpoints: ['tls://a:1', 'tcp://b:2'],
        binding: 'exporter',
        keys: [{ ...key, state: 'current', overlapTill: null }],
        rotationSequence: 0,
        bundleSequence: 0,
        acknowledgedSequence: 0,
        revokedBy: null,
        removed: false,
        noticePending: null,
        continuityGrantedTill: null,
        lastContact: null,
        lastError: null,
        createdAt: testStart,
        updatedAt: testStart,
      });
      expect(await store.partners.get(uid)).to.deep.equal(added);
      expect(await store.partners.findByFingerprint(key.fingerprint)).to.deep.equal(added);
      expect(await store.partners.findByCloudId('east')).to.deep.equal(added);
      expect(await store.partners.resolve('east')).to.deep.equal(added);
      expect(await store.partners.resolve('sunrise')).to.deep.equal(added);
    });

    it('are listed by name, each with its own keys', async () => {
      const { store } = bench;
      const west = await store.partners.add(newPartner('west'));
      const east = await store.partners.add(newPartner('east'));
      expect(await store.partners.list()).to.deep.equal([east, west]);
      expect(east.keys[0]!.fingerprint.equals(west.keys[0]!.fingerprint)).to.equal(false);
    });

    it('that nobody knows are not found', async () => {
      const { store } = bench;
      await rejection(store.partners.resolve('nobody'), 'partner_not_found');
      await rejection(store.partners.get('x' as PartnerUid), 'partner_not_found');
      await rejection(store.partners.apply('x' as PartnerUid, 'suspend'), 'partner_not_found');
      expect(await store.partners.findByCloudId('nobody')).to.equal(null);
      expect(await store.partners.findByFingerprint(Buffer.alloc(32))).to.equal(null);
    });

    it('have a cloud_id, a name and a key that nobody else has', async () => {
      const { store } = bench;
      const own = newKey();
      await store.identities.init({ ...own, cloudId: 'home' as CloudId });
      const east = await store.partners.add(newPartner('east', { name: 'sunrise' }));
      const refused: [string, ReturnType<typeof newPartner>][] = [
        ['cloud_id', newPartner('east')],
        ['cloud_id', newPartner('sunrise')],
        ['cloud_id', newPartner('home')],
        ['name', newPartner('west', { name: 'sunrise' })],
        ['name', newPartner('west', { name: 'east' })],
        ['name', newPartner('west', { name: 'home' })],
        ['certificate', newPartner('west', { key: east.keys[0]! })],
        ['certificate', newPartner('west', { key: own })],
      ];
      for (const [field, partner] of refused)
        expect((await rejection(store.partners.add(partner), 'identity_known')).field, partner.cloudId).to.equal(field);
      await rejection(store.partners.add(newPartner('all')), 'name_reserved');
      expect(await store.partners.list()).to.deep.equal([east]);
    });

    it('change their state only along the edges, whatever comes in whatever order', async function () {
      this.timeout(60_000);
      const { store, clock } = bench;
      let number = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom<TrustEvent | 'time'>(...trustEvents, 'time'), { maxLength: 12 }),
          async (events) => {
            const trustTill = clock.now() + 10;
            let partner = await store.partners.add(newPartner(`c${number++}`, { state: 'pending', trustTill }));
            for (const event of events) {
              if (event === 'time') {
                clock.advance(10);
                continue;
              }
              const from =
                event === 'expire' || event === 'renew' ? partner.state : effectiveState(partner, clock.now());
              const attempt = store.partners.apply(partner.uid, event, {
                trustTill: event === 'renew' || event === 'approve' ? clock.now() + 10 : null,
              });
              let expected: string;
              try {
                expected = nextState(from, event);
              } catch (error) {
                expect((error as AllianceError).errorName).to.equal('illegal_transition');
                await rejection(attempt, 'illegal_transition');
                expect(await store.partners.get(partner.uid)).to.deep.equal(partner);
                continue;
              }
              partner = await attempt;
              expect(partner.state).to.equal(expected);
              expect(await store.partners.get(partner.uid)).to.deep.equal(partner);
            }
          },
        ),
        { numRuns: 60 },
      );
    });

    it('are approved by the side that they wait for, and forget the code then', async () => {
      const { store, clock } = bench;
      const pending = newPartner('east', { state: 'pending', approval: 'partner', code: 'ABCD-EFGH' });
      const { uid } = await store.partners.add(pending);
      const error = await rejection(store.partners.apply(uid, 'approve'), 'illegal_transition');
      expect(error.details).to.equal('approve: partner east awaits approval by the partner');
      clock.advance(7);
      const active = await store.partners.apply(uid, 'approve', { by: 'partner' });
      expect(active).to.include({ state: 'active', approval: null, code: null, trustSince: testStart + 7 });
    });

    it('expire by time alone; housekeeping writes it down; renew brings them back, trust_till does not', async () => {
      const { store, clock } = bench;
      const { uid } = await store.partners.add(newPartner('east', { trustTill: testStart + 100 }));
      clock.advance(100);
      await rejection(store.partners.apply(uid, 'suspend'), 'illegal_transition');
      await rejection(store.partners.update(uid, { trustTill: clock.now() + 100 }), 'illegal_transition');
      expect(await bumps(store, () => store.prune(clock.now()))).to.equal(1);
      expect((await store.partners.get(uid)).state).to.equal('expired');
      expect(await bumps(store, () => store.prune(clock.now()))).to.equal(0);
      await rejection(store.partners.apply(uid, 'renew', { trustTill: clock.now() }), 'bad_request');
      const renewed = await store.partners.apply(uid, 'renew', { trustTill: clock.now() + 50 });
      expect(renewed).to.include({ state: 'active', trustTill: clock.now() + 50 });
      expect((await store.partners.update(uid, { trustTill: null })).trustTill).to.equal(null);
    });

    it('stay suspended when their trust runs out and is renewed', async () => {
      const { store, clock } = bench;
      const { uid } = await store.partners.add(newPartner('east', { trustTill: testStart + 100 }));
      await store.partners.apply(uid, 'suspend');
      clock.advance(100);
      await store.prune(clock.now());
      expect(effectiveState(await store.partners.get(uid), clock.now())).to.equal('expired');
      await rejection(store.partners.apply(uid, 'resume'), 'illegal_transition');
      const renewed = await store.partners.apply(uid, 'renew', { trustTill: null });
      expect(renewed.state).to.equal('suspended');
      expect((await store.partners.apply(uid, 'resume')).state).to.equal('active');
    });

    it('take no end of trust that is no point in time', async () => {
      const { store } = bench;
      const { uid } = await store.partners.add(newPartner('east'));
      for (const trustTill of [timeLimits.latestMs + 1, 2 ** 53 - 1, Number.POSITIVE_INFINITY, Number.NaN]) {
        await rejection(store.partners.add(newPartner('west', { trustTill })), 'bad_request');
        await rejection(store.partners.update(uid, { trustTill }), 'bad_request');
        await rejection(store.partners.apply(uid, 'renew', { trustTill }), 'bad_request');
      }
      await store.partners.update(uid, { trustTill: timeLimits.latestMs });
    });

    it('that are revoked lose their sessions, and it is remembered by whom and who must be told', async () => {
      const { store } = bench;
      const east = await store.partners.add(newPartner('east'));
      const west = await store.partners.add(newPartner('west'));
      await store.sessions.insert(newSession(east));
      const kept = newSession(west);
      await store.sessions.insert(kept);
      const revoked = await store.partners.apply(east.uid, 'revoke');
      expect(revoked).to.include({ state: 'revoked', revokedBy: 'us', noticePending: 'revoked' });
      expect((await store.sessions.list()).map(({ sid }) => sid)).to.deep.equal([kept.sid]);
      await rejection(store.sessions.insert(newSession(east)), 'partner_not_active');
      expect(await store.partners.apply(west.uid, 'revoke', { by: 'partner' })).to.include({
        revokedBy: 'partner',
        noticePending: null,
      });
    });

    it('bump the trust epoch with every change of trust, and with nothing else', async () => {
      const { store, clock } = bench;
      const { partners } = store;
      const { uid } = await partners.add(newPartner('east'));
      const fingerprint = (await partners.get(uid)).keys[0]!.fingerprint;
      const next = newKey();
      const rotation = { sequence: 1, oldFingerprint: fingerprint, key: next, overlapTill: clock.now() + 1000 };
      expect(await bumps(store, () => partners.add(newPartner('west')))).to.equal(1);
      expect(await bumps(store, () => partners.apply(uid, 'suspend'))).to.equal(1);
      expect(await bumps(store, () => partners.update(uid, { role: 'consumer' }))).to.equal(1);
      expect(await bumps(store, () => partners.rotateKeys(uid, rotation))).to.equal(1);
      expect(await bumps(store, () => partners.rotateKeys(uid, rotation))).to.equal(0);
      expect(await bumps(store, () => partners.retireOldKey(uid, fingerprint))).to.equal(0);
      expect(await bumps(store, () => partners.retireOldKey(uid, next.fingerprint))).to.equal(1);
      expect(await bumps(store, () => partners.touch(uid, clock.now()))).to.equal(0);
      const error = { at: 1, code: 1004, name: 'unreachable', message: 'no' };
      expect(await bumps(store, () => partners.recordError(uid, error))).to.equal(0);
      expect(await bumps(store, () => partners.apply(uid, 'approve').catch(() => {}))).to.equal(0);
      expect(await bumps(store, () => partners.remove(uid))).to.equal(1);
    });

    it('keep contact and last error', async () => {
      const { store } = bench;
      const { uid } = await store.partners.add(newPartner('east'));
      const lastError = { at: 5, code: 1004, name: 'unreachable', message: 'no route' };
      await store.partners.touch(uid, 77);
      await store.partners.recordError(uid, lastError);
      const partner = await store.partners.get(uid);
      expect(partner.lastContact).to.equal(77);
      expect(partner.lastError).to.deep.equal(lastError);
    });

    it('are changed by update, each field by itself', async () => {
      const { store } = bench;
      await store.partners.add(newPartner('west'));
      const { uid } = await store.partners.add(newPartner('east'));
      const changes = {
        name: 'sunrise',
        role: 'consumer',
        endpoints: ['tcp://x:1'],
        trustTill: testStart + 1,
        bundleSequence: 3,
        acknowledgedSequence: 4,
        noticePending: 'revoked',
        continuityGrantedTill: 9,
      } as const;
      for (const [field, value] of Object.entries(changes)) {
        const before = await store.partners.get(uid);
        const after = await store.partners.update(uid, { [field]: value });
        expect(after).to.deep.equal({ ...before, [field]: value });
      }
      await rejection(store.partners.update(uid, { name: 'west' }), 'identity_known');
      await rejection(store.partners.update(uid, { name: 'none' }), 'name_reserved');
      await rejection(store.partners.update(uid, { endpoints: ['x'.repeat(301)] }), 'bad_request');
    });
  });

  describe('removed partners', () => {
    it('are gone for everybody but those who tell them, and then for good', async () => {
      const { store } = bench;
      const { uid, keys } = await store.partners.add(newPartner('east'));
      await store.partners.remove(uid);
      expect(await store.partners.list()).to.deep.equal([]);
      expect(await store.partners.findByFingerprint(keys[0]!.fingerprint)).to.equal(null);
      await rejection(store.partners.resolve('east'), 'partner_not_found');
      const [removed] = await store.partners.list({ removed: true });
      expect(removed).to.include({ uid, removed: true, state: 'revoked', noticePending: 'removed' });
      await rejection(store.partners.apply(uid, 'resume'), 'illegal_transition');

      await store.partners.update(uid, { noticePending: null });
      await rejection(store.partners.get(uid), 'partner_not_found');
    });

    it('are gone at once when they need not be told, and in the end when they cannot be', async () => {
      const { store, clock } = bench;
      const east = await store.partners.add(newPartner('east'));
      await store.partners.remove(east.uid, { notify: false });
      await rejection(store.partners.get(east.uid), 'partner_not_found');
      const west = await store.partners.add(newPartner('west'));
      await store.partners.remove(west.uid);
      await store.prune(clock.advance(storeLimits.noticeMs - 1));
      expect((await store.partners.get(west.uid)).removed).to.equal(true);
      await store.prune(clock.advance(1));
      await rejection(store.partners.get(west.uid), 'partner_not_found');
    });

    for (const notify of [true, false])
      it(`stay bound to their key${notify ? '' : ' after all else is gone'}`, async () => {
        const { partners } = bench.store;
        const { uid, keys } = await partners.add(newPartner('east'));
        await partners.remove(uid, { notify });
        const other = newPartner('east');
        await rejection(partners.add(other), 'identity_known');
        await rejection(partners.add(newPartner('west', { key: keys[0]! })), 'identity_known');
        await rejection(partners.add(newPartner('west', { key: keys[0]!, replaceIdentity: true })), 'identity_known');

        const back = await partners.add(newPartner('east', { key: keys[0]! }));
        expect(back.uid).not.to.equal(uid);
        await partners.remove(back.uid, { notify });
        await partners.add({ ...other, replaceIdentity: true });
      });

    it('never come back with a key that was replaced or retired', async () => {
      const { partners } = bench.store;
      const first = await partners.add(newPartner('east'));
      await partners.remove(first.uid);
      const second = await partners.add(newPartner('east', { replaceIdentity: true }));
      await partners.remove(second.uid);
      await rejection(
        partners.add(newPartner('east', { key: first.keys[0]!, replaceIdentity: true })),
        'identity_known',
      );
      const third = await partners.add(newPartner('east', { key: second.keys[0]! }));

      const next = newKey();
      const oldFingerprint = third.keys[0]!.fingerprint;
      await partners.rotateKeys(third.uid, { sequence: 1, oldFingerprint, key: next, overlapTill: testStart + 1000 });
      await partners.retireOldKey(third.uid, next.fingerprint);
      await partners.remove(third.uid);
      await rejection(
        partners.add(newPartner('east', { key: second.keys[0]!, replaceIdentity: true })),
        'identity_known',
      );
      await partners.add(newPartner('east', { key: next }));
    });
  });
}
