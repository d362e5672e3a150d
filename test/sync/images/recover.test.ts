import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { syncLimits } from '../../../src/core/limits.ts';
import type { StoredImage } from '../../../src/lproxy/imageStore.ts';
import type { NewTransfer, TransferStep } from '../../../src/model/transfer.ts';
import { runSync } from '../../../src/sync/images/sync.ts';
import { proofOf } from '../../../src/sync/images/verify.ts';
import { listAll, plainImage } from '../../support/glanceContract.ts';
import { putImage, type SyncWorld, startSyncWorld } from '../../support/imageSync.ts';

describe('what an earlier sync has left unfinished', () => {
  let world: SyncWorld;

  before(async () => {
    world = await startSyncWorld();
  });
  after(() => world.close());
  afterEach(async () => {
    await world.clear();
    const { transfers } = world.store;
    for (const transfer of await transfers.openIn(world.west.glance.url)) await transfers.close(transfer.id);
  });

  /** A row of the journal, as if a run had been killed there. */
  async function left(step: TransferStep, more: Partial<NewTransfer> = {}): Promise<NewTransfer> {
    const { transfers } = world.store;
    const transfer: NewTransfer = {
      ...{ id: randomUUID(), executionId: randomUUID(), taskId: randomUUID(), regionKey: world.west.glance.url },
      ...{ imageId: randomUUID(), name: 'one', sourceId: 'source', old: null },
      content: { sizeBytes: 10, checksum: null, hash: null },
      final: { visibility: 'public', protected: false, hidden: false, members: [] },
      ...more,
    };
    await transfers.begin(transfer);
    if (step !== 'create') await transfers.setStep(transfer.id, step);
    return transfer;
  }
  const marked = (mark: string) =>
    ({ visibility: 'private', properties: new Map([['alliance_transfer', mark]]) }) as const;
  const open = () => world.store.transfers.openIn(world.west.glance.url);
  const ids = async () => (await listAll(world.west.store)).map(({ id }) => id);
  const recovered = async () =>
    (await world.sync()).regions[0]!.recovered.map(({ imageId, outcome }) => `${imageId} ${outcome}`);

  /** An active image with the mark of a row that knows its content. */
  async function uploaded(step: TransferStep, values: Partial<NewTransfer> = {}): Promise<[StoredImage, NewTransfer]> {
    const id = randomUUID();
    const image = await putImage(world.west, 'one', 500, marked(id));
    const transfer = await left(step, { id, imageId: image.id, content: proofOf(image), ...values });
    return [image, transfer];
  }

  for (const step of ['write', 'verify', 'publish', 'retire', 'clear'] as const)
    it(`a content that is whole and proven is completed from ${step} on`, async () => {
      const [{ id }] = await uploaded(step);
      expect(await recovered()).to.deep.equal([`${id} completed`]);
      const [image] = await listAll(world.west.store);
      expect([...image!.properties.keys()]).to.deep.equal([]);
      expect(image!.visibility).to.equal(step === 'retire' || step === 'clear' ? 'private' : 'public');
      expect(await open()).to.deep.equal([]);
    });

  it('a content that is active and not what was to be sent is removed', async () => {
    const [{ id }] = await uploaded('verify', { content: { sizeBytes: 500, checksum: 'f'.repeat(32), hash: null } });
    expect(await recovered()).to.deep.equal([`${id} removed`]);
    expect(await ids()).to.deep.equal([]);
  });

  for (const step of ['create', 'write', 'undo'] as const)
    it(`an image without its content is removed, left at ${step}`, async () => {
      const transfer = await left(step);
      await world.west.store.create(transfer.imageId, plainImage({ name: 'one', ...marked(transfer.id) }));
      expect(await recovered()).to.deep.equal([`${transfer.imageId} removed`]);
      expect([await ids(), await open()]).to.deep.equal([[], []]);
    });

  for (const step of ['write', 'publish', 'retire', 'undo'] as const)
    it(`an image with another mark is never touched, left at ${step}`, async () => {
      const { id } = await putImage(world.west, 'one', 100, marked('somebody else'));
      const old = await putImage(world.west, 'old', 100);
      const before = JSON.stringify([...world.west.glance.images.values()]);
      await left(step, { imageId: id, old: { ...proofOf(old), id: old.id, name: 'old', newName: null } });
      expect(await recovered()).to.deep.equal([`${id} gone`]);
      expect(JSON.stringify([...world.west.glance.images.values()])).to.equal(before);
      expect(await open()).to.deep.equal([]);
    });

  it('one that is not there is forgotten, but not as long as the request that makes it may still come', async () => {
    const { store } = world;
    const [young, written] = [await left('create'), await left('write')];
    expect(await recovered()).to.have.members([`${young.imageId} gone`, `${written.imageId} gone`]);
    expect((await open()).map(({ id }) => id)).to.deep.equal([young.id]);
    const clock = { now: () => Date.now() + syncLimits.settleMs + 1 };
    await runSync(world.request(), { store, clock });
    expect(await open()).to.deep.equal([]);
  });

  it('one that is said once not to be there is looked for again', async () => {
    const [{ id }] = await uploaded('publish');
    world.west.glance.faults.next({ kind: 'status', status: 404, method: 'GET', path: new RegExp(id) });
    expect(await recovered()).to.deep.equal([`${id} completed`]);
  });

  it('what cannot be mended now stays for the next run, and is no image until then', async () => {
    const { east, west } = world;
    await putImage(east, 'one', 100);
    const transfer = await left('write');
    await west.store.create(transfer.imageId, plainImage({ name: 'one', ...marked(transfer.id) }));
    west.glance.faults.next({ kind: 'status', status: 409, method: 'DELETE', times: 20 });
    const report = await world.sync();
    expect(report.regions[0]!.recovered[0]!.outcome).to.equal('left');
    expect(report.state).to.equal('partly');
    expect((await listAll(west.store)).map(({ status }) => status)).to.have.members(['queued', 'active']);
    west.glance.faults.clear();
    expect((await world.sync()).state).to.equal('done');
    expect((await listAll(west.store)).map(({ status }) => status)).to.deep.equal(['active']);
  });

  it('an old image is retired only if it is the one that was planned, and still has its name and content', async () => {
    const old = await putImage(world.west, 'old', 100);
    const plan = { ...proofOf(old), id: old.id, name: 'one', newName: null };
    const [{ id }] = await uploaded('retire', { old: plan });
    const report = await world.sync();
    expect(report.regions[0]!.notes[0]!.text).to.include(old.id);
    expect(await ids()).to.have.members([id, old.id]);
    const [again] = await uploaded('retire', { old: { ...plan, name: 'old' } });
    await world.sync();
    expect(await ids()).to.have.members([id, again.id]);
  });
});
