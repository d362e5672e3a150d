/** What every engine must do about images that partners made here. */
import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { partnerImageLimits } from '../../../src/core/limits.ts';
import type { Partner } from '../../../src/model/partner.ts';
import type { PartnerImageKey } from '../../../src/model/partnerImage.ts';
import { rejection } from '../../support/errors.ts';
import { newPartner, testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

export function describePartnerImages(bench: Bench): void {
  describe('images of partners', () => {
    let east: Partner;
    let west: Partner;
    const quota = { images: 3, bytes: 100 };
    const newKey = (region = 'r1'): PartnerImageKey => ({ region, imageId: randomUUID() });
    beforeEach(async () => {
      east = await bench.store.partners.add(newPartner('east'));
      west = await bench.store.partners.add(newPartner('west'));
    });
    const add = async (key = newKey(), of = east) => {
      await bench.store.partnerImages.add(of, key, quota);
      return key;
    };
    const outcomes = async () =>
      (await bench.store.audit.list({ kind: 'image' })).map(({ outcome, actor }) => `${actor} ${outcome}`);

    it('are noted once, by region and id, and belong to who came first', async () => {
      const { partnerImages } = bench.store;
      const key = newKey();
      expect(await partnerImages.add(east, key, quota)).to.deep.equal({ fresh: true, updatedAt: testStart });
      bench.clock.advance(5);
      expect(await partnerImages.add(east, key, quota)).to.deep.equal({ fresh: false, updatedAt: testStart + 5 });
      await rejection(partnerImages.add(west, key, quota), 'image_conflict');
      await add({ ...key, region: 'r2' }, west);
      const note = { partnerUid: east.uid, cloudId: 'east', sizeBytes: 0, state: 'open' };
      expect(await partnerImages.find(key)).to.deep.equal({
        ...key,
        ...note,
        createdAt: testStart,
        updatedAt: testStart + 5,
      });
      expect(await partnerImages.list({ partnerUid: west.uid })).to.have.length(1);
      expect(await partnerImages.list({ region: 'r1' })).to.have.length(1);
      expect(await partnerImages.find(newKey())).to.equal(null);
      expect(await outcomes()).to.deep.equal(['partner asked', 'partner asked']);
    });

    it('are no more than the quota, over all regions, and also when many ask at once', async () => {
      const stores = [bench.store, await bench.another()];
      const all = await Promise.allSettled(
        Array.from({ length: 10 }, (_, i) => stores[i % 2]!.partnerImages.add(east, newKey(`r${i % 3}`), quota)),
      );
      expect(all.filter(({ status }) => status === 'fulfilled')).to.have.length(3);
      await rejection(add(), 'image_quota');
      await add(newKey(), west);
    });

    it('set apart what they take, each as often as its partner likes', async () => {
      const { partnerImages } = bench.store;
      const [one, two] = [await add(), await add(newKey('r2'))];
      await partnerImages.reserve(one, 60, quota);
      await rejection(partnerImages.reserve(two, 41, quota), 'image_quota');
      await partnerImages.reserve(two, 40, quota);
      await rejection(partnerImages.reserve(one, 61, quota), 'image_quota');
      // What was begun with the size from before may still be on its way.
      await partnerImages.reserve(one, 10, quota);
      expect((await partnerImages.find(one))!.sizeBytes).to.equal(60);
      await rejection(partnerImages.reserve(two, 41, quota), 'image_quota');
      bench.clock.advance(partnerImageLimits.touchMs + partnerImageLimits.uploadIdleMs);
      await partnerImages.reserve(one, 10, quota);
      await partnerImages.reserve(two, 90, quota);
      await rejection(partnerImages.reserve(newKey(), 1, quota), 'image_not_found');
      await partnerImages.stored(two);
      await rejection(partnerImages.reserve(two, 1, quota), 'image_conflict');
    });

    it('of many that want the last room at once one gets it', async () => {
      const stores = [bench.store, await bench.another()];
      const keys = [await add(), await add(), await add()];
      const all = await Promise.allSettled(
        keys.map((key, index) => stores[index % 2]!.partnerImages.reserve(key, 60, quota)),
      );
      expect(all.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
    });

    it('are forgotten for a reason, and only as nobody is at them', async () => {
      const { partnerImages } = bench.store;
      const [one, two] = [await add(), await add()];
      bench.clock.advance(5);
      await partnerImages.touch(one);
      expect(await partnerImages.forget(one, 'left_behind', testStart)).to.equal(false);
      expect(await partnerImages.forget(one, 'left_behind', testStart + 5)).to.equal(true);
      expect(await partnerImages.stored(two, 7)).to.equal(true);
      expect(await partnerImages.stored(two)).to.equal(true);
      expect(await partnerImages.stored(newKey())).to.equal(false);
      expect(await partnerImages.find(two)).to.deep.include({ state: 'stored', sizeBytes: 7 });
      expect(await partnerImages.forget(two, 'deleted')).to.equal(true);
      expect(await partnerImages.forget(two, 'deleted')).to.equal(false);
      expect(await outcomes()).to.deep.equal([
        'partner asked',
        'partner asked',
        'broker left_behind',
        'partner stored',
        'partner deleted',
      ]);
      await add();
    });
  });
}
