import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { listAll } from '../../support/glanceContract.ts';
import { contentsOf, putImage, type SyncWorld, startSyncWorld } from '../../support/imageSync.ts';
import { targetWith } from '../../support/images.ts';

describe('syncs of images', () => {
  let world: SyncWorld;

  before(async () => {
    world = await startSyncWorld();
  });
  after(() => world.close());
  afterEach(() => world.clear());

  const states = (report: Awaited<ReturnType<SyncWorld['sync']>>) =>
    report.regions.flatMap(({ tasks }) => tasks.map(({ kind, name, state }) => `${kind} ${name} ${state}`));

  it('sends what is not there, with kernels first, and then finds nothing to do', async () => {
    const { east, west } = world;
    const kernel = await putImage(east, 'aki', 3_000_000);
    const ramdisk = await putImage(east, 'ari', 2000);
    await putImage(east, 'ami', 1000, {
      properties: new Map([
        ['kernel_id', kernel.id],
        ['ramdisk_id', ramdisk.id],
        ['os_distro', 'debian'],
      ]),
    });
    await putImage(east, 'empty', 0, { tags: ['blue'], minDiskGib: 3, minRamMib: 64, protected: true });
    const report = await world.sync();
    expect(report.state, JSON.stringify(report.regions[0]?.failure)).to.equal('done');
    expect(states(report)).to.have.members([
      'upload empty done',
      'upload ari done',
      'upload aki done',
      'upload ami done',
    ]);
    expect(await contentsOf(west)).to.deep.equal(await contentsOf(east));
    const empty = (await listAll(west.store)).find(({ name }) => name === 'empty')!;
    expect(empty).to.deep.include({ tags: ['blue'], minDiskGib: 3, minRamMib: 64, protected: true });
    const second = await world.sync();
    expect(second.state).to.equal('done');
    expect(states(second)).to.deep.equal([]);
    expect(await world.store.transfers.openIn(west.glance.url)).to.deep.equal([]);
  });

  it('replaces, renames and changes', async () => {
    const { east, west } = world;
    for (const name of ['one', 'two', 'three']) await putImage(east, name, 2000, { properties: new Map([['k', 'v']]) });
    const aside = randomBytes(100);
    await putImage(west, 'one', 3000);
    const kept = await putImage(west, 'two', aside, { properties: new Map([['old', 'yes']]) });
    const three = (await listAll(east.store)).find(({ name }) => name === 'three')!;
    const bytes = east.glance.images.get(three.id)!;
    expect(bytes.size).to.equal(2000);
    const report = await world.sync(
      {},
      { target: targetWith({ rename: new Set([kept.checksum!]), replace: new Set(['any']) }) },
    );
    expect(report.state).to.equal('done');
    expect(states(report)).to.have.members(['replace one done', 'rename two done', 'upload three done']);
    const there = await contentsOf(west);
    expect(there.filter(({ name }) => name !== 'two.old')).to.deep.equal(await contentsOf(east));
    expect(there.find(({ name }) => name === 'two.old')).to.deep.include({
      visibility: 'private',
      properties: [['old', 'yes']],
    });
  });
});
