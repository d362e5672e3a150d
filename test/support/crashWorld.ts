/** What syncs are killed over: each kind of action, images that they must not touch, and what all of it should come to. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { crashTarget, oldTwo } from './crashTarget.ts';
import { contentsOf, putImage, type SyncWorld } from './imageSync.ts';
import type { SyncJob } from './syncProcess.ts';

export interface CrashWorld {
  /** Images of the west as they are before any sync. */
  reset(): Promise<void>;
  job(more?: Partial<SyncJob>): SyncJob;
  /** One plain run, and all is as it should be then: nothing lost, nothing twice, nothing left over, nothing touched. */
  expectConvergence(): Promise<void>;
}

/** Fills the east. */
export async function createCrashWorld(world: SyncWorld): Promise<CrashWorld> {
  const { east, west, store, projectId } = world;
  const { images } = west.glance;
  const aki = await putImage(east, 'aki', 2_200_000);
  const ari = await putImage(east, 'ari', 100_000);
  const links = new Map([
    ['kernel_id', aki.id],
    ['ramdisk_id', ari.id],
  ]);
  const same = randomBytes(500);
  await putImage(east, 'ami', 70_000, { properties: links });
  await putImage(east, 'ami-there', same, { properties: links });
  await putImage(east, 'one', 1_500_000, { protected: true });
  await putImage(east, 'two', 90_000);
  await putImage(east, 'three', same, { properties: new Map([['kind', 'new']]), minDiskGib: 1 });
  let untouched = '';

  const foreign = (): string =>
    JSON.stringify(
      [...images.values()]
        .filter(({ name, owner }) => name === 'mine' || owner !== projectId)
        .map((image) => ({ ...image, properties: [...image.properties] })),
    );

  async function reset(): Promise<void> {
    for (const image of images.values()) Object.assign(image, { protected: false, owner: projectId });
    for (const id of [...images.keys()]) await west.store.delete(id);
    const kernel = await putImage(west, 'aki', 1000);
    await putImage(west, 'ami-there', same, { properties: new Map([['kernel_id', kernel.id]]) });
    await putImage(west, 'one', 1000);
    await putImage(west, 'two', oldTwo, { properties: new Map([['old', 'yes']]) });
    await putImage(west, 'three', same, { properties: new Map([['kind', 'old']]) });
    await putImage(west, 'mine', 100, { properties: new Map([['alliance_transfer', 'of another installation']]) });
    const theirs = await putImage(west, 'ari', 100);
    images.get(theirs.id)!.owner = 'another project';
    untouched = foreign();
  }

  /** Not even in the middle of it. */
  function expectNothingDangles(): void {
    for (const { name, properties } of images.values())
      for (const key of ['kernel_id', 'ramdisk_id']) {
        const id = properties.get(key);
        expect(!id || images.has(id), `${key} of ${name}`).to.equal(true);
      }
  }

  async function expectConvergence(): Promise<void> {
    expectNothingDangles();
    const report = await world.sync({}, { target: crashTarget });
    const told = JSON.stringify(report.regions.map(({ tasks, recovered, failure }) => ({ tasks, recovered, failure })));
    expect(report.state, told).to.equal('done');
    expect(foreign(), told).to.equal(untouched);
    const there = (await contentsOf(west, projectId)).filter(({ name }) => name !== 'mine');
    const aside = there.filter(({ name }) => name === 'two.old');
    expect(aside, told).to.have.length(1);
    expect(aside[0], told).to.deep.include({ visibility: 'private', properties: [['old', 'yes']], status: 'active' });
    const rest = there.filter(({ name }) => name !== 'two.old');
    expect(rest, told).to.deep.equal(await contentsOf(east, projectId));
    const again = await world.sync({}, { target: crashTarget });
    expect(again.regions[0]!.tasks, told).to.deep.equal([]);
    for (const { step } of await store.transfers.openIn(west.glance.url))
      expect(step, told).to.be.oneOf(['create', 'undo']);
  }

  return {
    reset,
    job: (more = {}) => ({
      ...{ authUrl: world.authUrl, password: world.password, databaseUrl: world.file.url },
      ...{ eastKey: east.glance.url, westKey: west.glance.url, imagesParallel: 1, ...more },
    }),
    expectConvergence,
  };
}
