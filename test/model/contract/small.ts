/** What every engine must do about replays, leases and settings. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { CloudId } from '../../../src/core/ids.ts';
import { newPartner, testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

export function describeSmall(bench: Bench): void {
  const [east, west] = ['east', 'west'] as [CloudId, CloudId];

  describe('replays', () => {
    it('let a ticket in once per issuer, until forgotten', async () => {
      const { replays } = bench.store;
      const jti = randomBytes(16);
      expect(await replays.insert(east, jti, testStart + 10)).to.equal(true);
      expect(await replays.insert(east, jti, testStart + 99)).to.equal(false);
      expect(await replays.insert(west, jti, testStart + 10)).to.equal(true);
      expect(await replays.insert(east, randomBytes(16), testStart + 20)).to.equal(true);
      expect(await replays.prune(testStart + 9)).to.equal(0);
      expect(await replays.insert(east, jti, testStart + 10)).to.equal(false);
      expect(await replays.prune(testStart + 10)).to.equal(2);
      expect(await replays.insert(east, jti, testStart + 10)).to.equal(true);
    });

    it('let one in of many that come at once over two connections', async () => {
      const stores = [bench.store, await bench.another()];
      const jti = randomBytes(16);
      const all = await Promise.all(Array.from({ length: 20 }, (_, i) => stores[i % 2]!.replays.insert(east, jti, 1)));
      expect(all.filter(Boolean)).to.have.length(1);
    });
  });

  describe('followers', () => {
    it('are stored as they are, replaced by the next state, and left out for partners that are not there', async () => {
      const { partners, followers } = bench.store;
      const { uid } = await partners.add(newPartner('east'));
      const state = {
        partnerUid: uid,
        cursor: 3,
        head: 2 ** 41,
        confirmedAt: testStart,
        lastError: null,
        updatedAt: testStart,
      };
      const nobody = { ...state, partnerUid: 'nobody' as typeof uid };
      expect(await followers.get(uid)).to.equal(null);
      await followers.save([nobody, state]);
      expect(await followers.list()).to.deep.equal([state]);
      const next = { ...state, cursor: 4, confirmedAt: null, lastError: 'unreachable' };
      await followers.save([next]);
      expect(await followers.get(uid)).to.deep.equal(next);
      await followers.save([]);
      expect(await followers.get(nobody.partnerUid)).to.equal(null);
    });
  });

  describe('leases', () => {
    it('have one holder, who may renew; others get them by release or by time', async () => {
      const { store, clock } = bench;
      const { leases } = store;
      expect(await leases.acquire('renew', 'a', 100)).to.equal(true);
      expect(await leases.acquire('renew', 'b', 100)).to.equal(false);
      expect(await leases.acquire('other', 'b', 100)).to.equal(true);
      clock.advance(60);
      expect(await leases.acquire('renew', 'a', 100)).to.equal(true);
      clock.advance(99);
      expect(await leases.acquire('renew', 'b', 100)).to.equal(false);
      clock.advance(1);
      expect(await leases.acquire('renew', 'b', 100)).to.equal(true);
      await leases.release('renew', 'a');
      expect(await leases.acquire('renew', 'a', 100)).to.equal(false);
      await leases.release('renew', 'b');
      expect(await leases.acquire('renew', 'a', 100)).to.equal(true);
    });

    it('have one holder of many who want them at once over two connections', async () => {
      const stores = [bench.store, await bench.another()];
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, i) => stores[i % 2]!.leases.acquire('one', `holder${i}`, 100)),
      );
      expect(all.filter(Boolean)).to.have.length(1);
    });
  });

  describe('settings', () => {
    it('are kept, replaced and deleted', async () => {
      const { settings } = bench.store;
      expect(await settings.get('k')).to.equal(null);
      await settings.set('k', 'v');
      await settings.set('k', "w'; --");
      expect(await (await bench.another()).settings.get('k')).to.equal("w'; --");
      await settings.set('k', null);
      expect(await settings.get('k')).to.equal(null);
    });
  });

  describe('the store', () => {
    it('answers a ping, and shows its trust epoch to other processes', async () => {
      const other = await bench.another();
      await bench.store.ping();
      const epoch = await other.trustEpoch();
      const { uid } = await bench.store.partners.add(newPartner('east'));
      expect(await other.trustEpoch()).to.equal(epoch + 1);
      await other.partners.apply(uid, 'suspend');
      expect((await bench.store.partners.get(uid)).state).to.equal('suspended');
      expect(await bench.store.trustEpoch()).to.equal(epoch + 2);
    });
  });

  describe('mappings', () => {
    it('are kept as they were set, one a partner, and go with it; each change is a change of trust and on record', async () => {
      const { store, clock } = bench;
      const one = await store.partners.add(newPartner('east'));
      const two = await store.partners.add(newPartner('north'));
      expect(await store.mappings.get(one.uid)).to.equal(null);
      const epoch = await store.trustEpoch();
      await store.mappings.set(one.uid, '[ ]');
      await store.mappings.set(two.uid, '{"rules":[]}');
      clock.advance(5);
      await store.mappings.set(one.uid, '[]');
      expect(await store.mappings.get(one.uid)).to.deep.equal({
        partnerUid: one.uid,
        rules: '[]',
        updatedAt: testStart + 5,
      });
      expect(await store.mappings.list()).to.have.length(2);
      await store.mappings.set(two.uid, null);
      expect(await store.mappings.get(two.uid)).to.equal(null);
      expect(await store.trustEpoch()).to.be.greaterThan(epoch + 3);
      const records = (await store.audit.list({ kind: 'configuration' })).filter(
        ({ subject }) => subject === 'mapping',
      );
      expect(records.map(({ partner, outcome }) => `${partner} ${outcome}`)).to.deep.equal([
        'east set',
        'north set',
        'east set',
        'north removed',
      ]);
      expect(JSON.stringify(records)).not.to.contain('rules');
    });
  });
}
