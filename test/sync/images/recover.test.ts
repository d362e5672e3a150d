import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { syncLimits } from '../../../src/core/limits.ts';
import type { ImageStore, StoredImage } from '../../../src/lproxy/imageStore.ts';
import type { NewTransfer, TransferStep } from '../../../src/model/transfer.ts';
import { runSync } from '../../../src/sync/images/sync.ts';
import { proofOf } from '../../../src/sync/images/verify.ts';
import { listAll, pieces, plainImage } from '../../support/glanceContract.ts';
import { putImage, type SyncWorld, startSyncWorld } from '../../support/imageSync.ts';
import { createTestFile } from '../../support/store.ts';

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
      final: { visibility: 'public', hidden: false, members: [] },
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

  it('one that is not there is forgotten, but not as long as it may still come, or a service may err', async () => {
    const { store } = world;
    const [young, written] = [await left('create'), await left('write')];
    expect(await recovered()).to.have.members([`${young.imageId} gone`, `${written.imageId} gone`]);
    expect((await open()).map(({ id }) => id)).to.have.members([young.id, written.id]);
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

  describe('the image that was to be replaced', () => {
    /** An old image, and the new one that is whole. */
    async function replacing(
      step: TransferStep,
      values: Partial<NewTransfer> = {},
    ): Promise<[StoredImage, StoredImage]> {
      const old = await putImage(world.west, 'one', 100);
      const plan = { ...proofOf(old), id: old.id, name: 'one', newName: null };
      const [image] = await uploaded(step, { old: plan, ...values });
      return [old, image];
    }
    const only = { only: new Set(['none']) };

    for (const step of ['publish', 'retire'] as const)
      it(`stays where the new one is not active any more, left at ${step}`, async () => {
        const [old, image] = await replacing(step);
        world.west.glance.images.get(image.id)!.status = 'deactivated';
        const report = await world.sync(only);
        expect(report.regions[0]!.recovered[0]!.outcome).to.equal('left');
        expect(await ids()).to.have.members([old.id, image.id]);
        expect(await open()).to.have.length(1);
      });

    it('stays where the new one goes while the old one is looked at', async () => {
      const [old, image] = await replacing('retire');
      const { store } = world.west;
      const get: ImageStore['get'] = async (id, call) => {
        const found = await store.get(id, call);
        if (id === old.id) await store.delete(image.id);
        return found;
      };
      const report = await world.sync(only, { store: { ...store, get } });
      expect(report.regions[0]!.recovered[0]!.outcome).to.equal('left');
      expect(await ids()).to.deep.equal([old.id]);
    });

    it('stays where the region is lost in between', async () => {
      const [old, image] = await replacing('retire');
      const { store } = world.west;
      const lease = `image-sync ${world.west.glance.url}`;
      const { leases } = world.store;
      const get: ImageStore['get'] = async (id, call) => {
        if (id === image.id) {
          await leases.release(lease, (await leases.holder(lease)) ?? '');
          await leases.acquire(lease, 'another process', 60_000);
        }
        return store.get(id, call);
      };
      const report = await world.sync(only, { store: { ...store, get } });
      await leases.release(lease, 'another process');
      expect(report.regions[0]!.failure?.name).to.equal('sync_running');
      expect(await ids()).to.have.members([old.id, image.id]);
    });

    it('is there still although it was deleted: the row stays, too', async () => {
      const [old, image] = await replacing('retire');
      world.west.glance.faults.next({ kind: 'status', status: 404, method: 'DELETE' });
      expect((await world.sync(only)).regions[0]!.recovered[0]!.outcome).to.equal('left');
      expect(await open()).to.have.length(1);
      expect(await recovered()).to.deep.equal([`${image.id} completed`]);
      expect(await ids()).to.not.include(old.id);
    });
  });

  describe('by a copy of the journal', () => {
    const unknown = { sizeBytes: 500, checksum: null, hash: null };
    const passed = (id: string) => ({
      properties: new Map([
        ['alliance_step', 'publish'],
        ['alliance_transfer', id],
      ]),
    });

    for (const step of ['create', 'write', 'verify'] as const)
      it(`an image that another run went on with is finished, left at ${step}`, async () => {
        const [{ id }, transfer] = await uploaded(step, { content: unknown });
        await world.west.store.update(id, passed(transfer.id));
        expect(await recovered()).to.deep.equal([`${id} completed`]);
        expect(await ids()).to.deep.equal([id]);
      });

    it('one that was to be taken back is left as it is', async () => {
      const [{ id }, transfer] = await uploaded('undo');
      await world.west.store.update(id, passed(transfer.id));
      expect(await recovered()).to.deep.equal([`${id} gone`]);
      expect([await ids(), await open()]).to.deep.equal([[id], []]);
    });

    it('what is active and cannot be compared stays until another one is there', async () => {
      const [{ id }] = await uploaded('write', { content: unknown });
      expect(await recovered()).to.deep.equal([`${id} left`]);
      expect(await ids()).to.deep.equal([id]);
      const other = await putImage(world.west, 'one', 500);
      expect(await recovered()).to.deep.equal([`${id} removed`]);
      expect(await ids()).to.deep.equal([other.id]);
    });

    it('and so do images that are published: both machines come to the same', async () => {
      const { east, west } = world;
      const old = await putImage(west, 'one', 900);
      await putImage(east, 'one', 1000);
      const without = (image: StoredImage): StoredImage => ({ ...image, checksum: null, hash: null });
      const master: ImageStore = {
        ...east.store,
        async *list(call) {
          for await (const page of east.store.list(call)) yield page.map(without);
        },
        get: async (id, call) => without(await east.store.get(id, call)),
      };
      let marks: unknown;
      const copy = createTestFile();
      const other = await copy.open();
      const { transfers } = world.store;
      const copying: typeof transfers = {
        ...transfers,
        setStep: async (id, step, content) => {
          if (step === 'write') {
            const [row] = await transfers.openIn(west.glance.url);
            await other.transfers.begin(row!);
            await other.transfers.setStep(row!.id, 'write');
          }
          await transfers.setStep(id, step, content);
        },
      };
      const store: ImageStore = {
        ...west.store,
        delete: async (id, call) => {
          if (id === old.id)
            marks = (await listAll(west.store)).map(({ properties }) => properties.get('alliance_step'));
          await west.store.delete(id, call);
          if (id === old.id) await runSync(world.request({ only: new Set(['none']) }), { store: other });
        },
      };
      const request = world.request({}, { store });
      await runSync(
        { ...request, master: { ...request.master, store: master } },
        { store: { ...world.store, transfers: copying } },
      );
      await copy.remove();
      expect(marks).to.have.members([undefined, 'publish']);
      expect((await listAll(west.store)).map(({ name, sizeBytes }) => `${name} ${sizeBytes}`)).to.deep.equal([
        'one 1000',
      ]);
    });
  });

  describe('where things have changed since', () => {
    /** The row is of a run from the east. */
    async function ofRun(): Promise<string> {
      const id = randomUUID();
      const { compat, only, parallel, imagesParallel, maxBytes, approved } = world.request();
      const options = { compat, only: only && [...only], parallel, imagesParallel, maxBytes, approved };
      await world.store.executions.begin({ id, trigger: 'manual', source: 'east', regions: ['west'], options });
      return id;
    }

    for (const step of ['write', 'verify', 'publish'] as const)
      it(`what its source has not any more is taken back, left at ${step}`, async () => {
        const [{ id }] = await uploaded(step, { executionId: await ofRun() });
        expect(await recovered()).to.deep.equal([`${id} removed`]);
        expect([await ids(), await open()]).to.deep.equal([[], []]);
      });

    it('what its source has still is finished, and so is what came from elsewhere', async () => {
      const { id: sourceId } = await putImage(world.east, 'one', 500);
      const [{ id }] = await uploaded('publish', { executionId: await ofRun(), sourceId });
      expect(await recovered()).to.deep.equal([`${id} completed`]);
    });

    it('what lost its name to another image is taken back', async () => {
      const other = await putImage(world.west, 'one', 700);
      const [{ id }] = await uploaded('publish');
      expect(await recovered()).to.deep.equal([`${id} removed`]);
      expect(await ids()).to.deep.equal([other.id]);
    });

    it('a replacement that could not be published is not replaced itself', async () => {
      const { east, west } = world;
      // Of two that are equally unlike the master's, the plan takes the one with the lower id.
      const last = 'ffffffff-ffff-4fff-bfff-ffffffffffff';
      await west.store.create(last, plainImage({ name: 'one', visibility: 'public' }));
      await west.store.write(last, pieces('before'), 6);
      const { id } = await putImage(east, 'one', 1000);
      let refused = 0;
      const store: ImageStore = {
        ...west.store,
        update: async (image, changes, call) => {
          if (changes.visibility !== 'public' || refused++ > 1) return west.store.update(image, changes, call);
          throw new AllianceError('image_refused');
        },
      };
      expect((await world.sync({}, { store })).state).to.equal('failed');
      await east.store.update(id, { name: 'was one' });
      const next = await putImage(east, 'one', 1100);
      expect((await world.sync({}, { store })).state).to.equal('partly');
      expect(next.id).to.not.equal(id);
      for (let runs = 0; runs < 2; runs++) await world.sync({}, { store });
      const there = (await listAll(west.store)).filter(({ name }) => name === 'one');
      expect(there.map(({ sizeBytes, visibility }) => `${sizeBytes} ${visibility}`)).to.deep.equal(['1100 public']);
      expect(await open()).to.deep.equal([]);
    });
  });
});
