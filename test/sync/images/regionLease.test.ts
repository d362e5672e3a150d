import { expect } from 'chai';
import type { Leases } from '../../../src/model/lease.ts';
import { leaseRegion } from '../../../src/sync/images/regionLease.ts';
import { rejection } from '../../support/errors.ts';
import { createTestFile, type TestFile } from '../../support/store.ts';

describe('the lease of a region', () => {
  let file: TestFile;
  let leases: Leases;

  before(async () => {
    file = createTestFile();
    ({ leases } = await file.open());
  });
  after(() => file.remove());

  it('is for one at a time, and can be had again when it was given back', async () => {
    const first = await leaseRegion(leases, { key: 'a', name: 'west' });
    await rejection(leaseRegion(leases, { key: 'a', name: 'west' }), 'sync_running');
    await first.release();
    await (await leaseRegion(leases, { key: 'a', name: 'west' })).release();
  });

  it('holds no more when it was given back', async () => {
    const lease = await leaseRegion(leases, { key: 'b', name: 'west' });
    await lease.hold();
    await lease.release();
    await rejection(lease.hold(), 'sync_running');
    expect(await leases.holder('image-sync b')).to.equal(null);
  });

  it('is not taken again by whoever asked before, and gets the answer afterwards', async () => {
    let answer: () => void = () => undefined;
    let slow = false;
    const late: Leases = {
      ...leases,
      acquire: async (...args) => {
        if (slow) await new Promise<void>((resolve) => (answer = resolve));
        return leases.acquire(...args);
      },
    };
    const lease = await leaseRegion(late, { key: 'c', name: 'west' });
    slow = true;
    const held = lease.hold();
    await lease.release();
    answer();
    await rejection(held, 'sync_running');
    expect(await leases.holder('image-sync c')).to.equal(null);
  });
});
