/** Syncs beside which other things happen, and services that say little or err. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { syncLimits } from '../../../src/core/limits.ts';
import type { ImageStore, StoredImage } from '../../../src/lproxy/imageStore.ts';
import { runSync } from '../../../src/sync/images/sync.ts';
import type { SyncReport } from '../../../src/sync/images/syncTypes.ts';
import { listAll, pieces, plainImage, readAll } from '../../support/glanceContract.ts';
import { contentsOf, putImage, type SyncWorld, startSyncWorld } from '../../support/imageSync.ts';
import { targetWith } from '../../support/images.ts';
import { createTestFile } from '../../support/store.ts';

describe('careful syncs of images', () => {
  let world: SyncWorld;

  before(async () => {
    world = await startSyncWorld();
  });
  after(() => world.close());
  afterEach(async () => {
    await world.clear();
    for (const { id } of await open()) await world.store.transfers.close(id);
  });

  const open = () => world.store.transfers.openIn(world.west.glance.url);
  const names = async () => (await listAll(world.west.store)).map(({ name }) => name).sort();
  const failures = (report: SyncReport) =>
    report.regions.flatMap(({ tasks }) => tasks.map(({ name, state, failure }) => `${name} ${state} ${failure?.name}`));
  const syncFrom = (store: ImageStore, region: Partial<ImageStore> = {}): Promise<SyncReport> => {
    const request = world.request({}, { store: { ...world.west.store, ...region } });
    return runSync({ ...request, master: { ...request.master, store } }, { store: world.store });
  };

  /** A source that knows no hashes. */
  function silent(read: ImageStore['read'] = world.east.store.read, more: Partial<StoredImage> = {}): ImageStore {
    const { store } = world.east;
    const without = (image: StoredImage): StoredImage => ({ ...image, checksum: null, hash: null, ...more });
    return {
      ...store,
      read,
      async *list(call) {
        for await (const page of store.list(call)) yield page.map(without);
      },
      get: async (id, call) => without(await store.get(id, call)),
    };
  }

  describe('from a source that knows no hash', () => {
    it('begin again where a read breaks, since the rest may be of another content', async () => {
      const [first, second] = [Buffer.alloc(3_000_000, 'A'), Buffer.alloc(3_000_000, 'B')];
      await putImage(world.east, 'one', first);
      let reads = 0;
      const read: ImageStore['read'] = async function* (_id, offset) {
        reads += 1;
        if (reads > 1) yield second.subarray(offset);
        else {
          yield first.subarray(0, 1_500_000);
          throw new AllianceError('connection_lost');
        }
      };
      expect((await syncFrom(silent(read))).state).to.equal('done');
      const [image] = await listAll(world.west.store);
      expect((await readAll(world.west.store, image!.id)).equals(second)).to.equal(true);
    });

    it('give up where the image was changed while it was read', async () => {
      await putImage(world.east, 'one', 2000);
      let changed = false;
      const store = silent();
      const get: ImageStore['get'] = async (id, call) => {
        const image = await store.get(id, call);
        return changed ? { ...image, updatedAt: image.updatedAt! + 1000 } : image;
      };
      const read: ImageStore['read'] = async function* (...args) {
        yield* store.read(...args);
        changed = true;
      };
      expect(failures(await syncFrom({ ...store, get, read }))).to.deep.equal(['one failed image_conflict']);
      expect([await names(), await open()]).to.deep.equal([[], []]);
    });
  });

  it('an image that is withdrawn while it is sent is not published', async () => {
    const { east } = world;
    const { id } = await putImage(east, 'one', 2000);
    const read: ImageStore['read'] = async function* (...args) {
      yield* east.store.read(...args);
      east.glance.images.get(id)!.status = 'deactivated';
    };
    expect(failures(await syncFrom({ ...east.store, read }))).to.deep.equal(['one failed image_conflict']);
    expect(await names()).to.deep.equal([]);
  });

  it('what is read back may not be longer than what was sent', async () => {
    const { east, west } = world;
    const content = randomBytes(3_000_000);
    const { id } = await putImage(east, 'one', content);
    const value = createHash('sha256').update(content).digest('hex');
    Object.assign(east.glance.images.get(id)!, { checksum: null, hashAlgorithm: 'sha256', hashValue: value });
    let given = 0;
    const read: ImageStore['read'] = async function* () {
      for (; given < 50_000_000; given += content.length) yield content;
    };
    expect(failures(await syncFrom(east.store, { ...west.store, read }))).to.deep.equal(['one failed image_mismatch']);
    expect(given).to.be.lessThan(10_000_000);
    expect(await names()).to.deep.equal([]);
  });

  it('attempts count as sent, each of them', async () => {
    await putImage(world.east, 'one', 2000);
    let writes = 0;
    const write: ImageStore['write'] = async (...args) => {
      writes += 1;
      await world.west.store.write(...args);
      throw new AllianceError('glance_unreachable');
    };
    const store = { ...world.west.store, write };
    expect(failures(await world.sync({ maxBytes: 5000 }, { store }))).to.deep.equal(['one failed image_quota']);
    expect(writes).to.equal(2);
    expect(await names()).to.deep.equal([]);
  });

  it('what is protected in the master can be replaced later', async () => {
    const { east, west } = world;
    const { id } = await putImage(east, 'one', 1000, { protected: true });
    expect((await world.sync()).state).to.equal('done');
    await east.store.update(id, { protected: false });
    await east.store.delete(id);
    await putImage(east, 'one', 1200, { protected: true });
    expect((await world.sync()).state).to.equal('done');
    expect((await listAll(west.store)).map(({ sizeBytes }) => sizeBytes)).to.deep.equal([1200]);
  });

  describe('beside others', () => {
    it('an image that somebody makes meanwhile keeps its name', async () => {
      const { east, west } = world;
      await putImage(east, 'one', 2000);
      let other: StoredImage | undefined;
      const get: ImageStore['get'] = async (id, call) => {
        other ??= await putImage(west, 'one', 2000);
        return east.store.get(id, call);
      };
      expect(failures(await syncFrom({ ...east.store, get }))).to.deep.equal(['one failed image_conflict']);
      expect((await listAll(west.store)).map(({ id }) => id)).to.deep.equal([other!.id]);
      expect(await open()).to.deep.equal([]);
    });

    it('of two installations one sends', async () => {
      await putImage(world.east, 'one', 2_000_000);
      const file = createTestFile();
      const other = await file.open();
      const both = await Promise.all([world.sync(), runSync(world.request(), { store: other })]);
      await file.remove();
      expect(both.map(({ state }) => state)).to.have.members(['done', 'failed']);
      expect(await names()).to.deep.equal(['one']);
      expect((await world.sync()).state).to.equal('done');
      expect(await names()).to.deep.equal(['one']);
    });

    it('nothing is changed in a region that was lost', async () => {
      const { east, west, store } = world;
      const { id } = await putImage(east, 'one', 2000, { properties: new Map([['v', '1']]) });
      await world.sync();
      await east.store.update(id, { properties: new Map([['v', '2']]) });
      const lease = `image-sync ${west.glance.url}`;
      const get: ImageStore['get'] = async (image, call) => {
        await store.leases.release(lease, (await store.leases.holder(lease)) ?? '');
        await store.leases.acquire(lease, 'another process', 60_000);
        return west.store.get(image, call);
      };
      await world.sync({}, { store: { ...west.store, get } });
      await store.leases.release(lease, 'another process');
      expect((await listAll(west.store))[0]!.properties.get('v')).to.equal('1');
    });
  });

  it('transfer no more images at a time than there are connections for', async () => {
    const { east, west } = world;
    const wanted = [0, 1].map((region) =>
      Array.from({ length: syncLimits.imagesParallel }, (_, i) => `${region}.${i}`),
    );
    for (const name of wanted.flat()) await putImage(east, name, 10);
    let [running, most] = [0, 0];
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const read: ImageStore['read'] = async function* (...args) {
      running += 1;
      most = Math.max(most, running);
      // One too many would come by then.
      if (running === syncLimits.transfers) setTimeout(go, 300);
      await gate;
      yield* east.store.read(...args);
      running -= 1;
    };
    const request = world.request({ parallel: 2, imagesParallel: syncLimits.imagesParallel });
    const regions = wanted.map((names, i) => ({
      ...request.regions[0]!,
      ...{ name: `west${i}`, key: `${west.glance.url}/${i}`, only: new Set(names) },
    }));
    const master = { ...request.master, store: { ...east.store, read } };
    const report = await runSync({ ...request, master, regions }, { store: world.store });
    expect(report.state).to.equal('done');
    expect(most).to.equal(syncLimits.transfers);
    expect(await names()).to.deep.equal(wanted.flat().sort());
  });

  it('do nothing more when they have ended, also where the database failed', async () => {
    const { east, west, store } = world;
    const kernel = await putImage(east, 'aki', 1000);
    await putImage(east, 'ami', 1000, { properties: new Map([['kernel_id', kernel.id]]) });
    await putImage(east, 'large', 3_000_000);
    let began: () => void = () => undefined;
    const isSending = new Promise<void>((resolve) => (began = resolve));
    const images: ImageStore = {
      ...west.store,
      create: async (id, attributes, call) => {
        if (attributes.name !== 'aki') return west.store.create(id, attributes, call);
        await isSending;
        throw new AllianceError('image_refused');
      },
      write: async (...args) => {
        began();
        return west.store.write(...args);
      },
    };
    const executions: typeof store.executions = {
      ...store.executions,
      setTask: async (id, task) => {
        if (task.state === 'skipped') throw new AllianceError('internal');
        await store.executions.setTask(id, task);
      },
    };
    const request = world.request(
      { imagesParallel: 2, bytesPerS: [{ fromMinute: 0, bytesPerS: 6_000_000 }] },
      { store: images },
    );
    const report = await runSync(request, { store: { ...store, executions } });
    expect(report.regions[0]!.failure?.name).to.equal('internal');
    expect(report.regions[0]!.tasks.map(({ name, state }) => `${name} ${state}`)).to.include('large done');
    expect(await names()).to.deep.equal(['large']);
    expect((await open()).map(({ name, step }) => `${name} ${step}`)).to.deep.equal(['aki undo']);
  });

  describe('what the journal does not know', () => {
    const day = { now: () => Date.now() + syncLimits.strayMs + 1000 };
    const marked = async (more: readonly [string, string][] = []) => {
      const origin = (await world.store.settings.get('image_origin')) ?? 'none';
      return new Map([['alliance_transfer', randomUUID()], ['alliance_origin', origin], ...more]);
    };

    it('goes after a day if it has no content and this installation made it', async () => {
      const { west } = world;
      await world.sync();
      const make = async (properties: Map<string, string>) =>
        west.store.create(randomUUID(), plainImage({ name: 'lost', properties }));
      const stray = await make(await marked());
      const foreign = await make(await marked([['alliance_origin', 'another installation']]));
      const active = await putImage(west, 'active', 10, { properties: await marked() });
      const theirs = await make(await marked());
      west.glance.images.get(theirs.id)!.owner = 'another project';
      const left = async () => (await listAll(west.store)).map(({ id }) => id);
      await world.sync();
      expect(await left()).to.have.members([stray.id, foreign.id, active.id, theirs.id]);
      const report = await runSync(world.request(), { store: world.store, clock: day });
      expect(await left()).to.have.members([foreign.id, active.id, theirs.id]);
      const told = report.regions[0]!.notes.map(({ text }) => text).join('\n');
      expect(told).to.include(stray.id).and.to.include(active.id).and.not.to.include(foreign.id);
    });

    it('but not what a row of another region knows', async () => {
      const { west, store } = world;
      await world.sync();
      const properties = await marked();
      const { id } = await west.store.create(randomUUID(), plainImage({ name: 'on its way', properties }));
      const row = { id: properties.get('alliance_transfer')!, executionId: randomUUID(), taskId: randomUUID() };
      const content = { sizeBytes: 1, checksum: null, hash: null };
      const final = { hidden: false, members: [] };
      await store.transfers.begin({
        ...row,
        regionKey: 'other',
        imageId: id,
        name: 'on its way',
        sourceId: 's',
        content,
        old: null,
        final,
      });
      await runSync(world.request(), { store, clock: day });
      expect(west.glance.images.has(id)).to.equal(true);
      await store.transfers.close(row.id);
    });
  });

  for (const [order, id] of [
    ['first', '00000000-0000-4000-8000-000000000001'],
    ['last', 'ffffffff-ffff-4fff-bfff-ffffffffffff'],
  ] as const)
    it(`a kernel that is replaced twice goes with both of its old ones, also where its id is the ${order}`, async () => {
      const { east, west } = world;
      const same = randomBytes(100);
      const kernel = { diskFormat: 'aki', containerFormat: 'aki', visibility: 'public' } as const;
      const old = await west.store.create(id, plainImage({ name: 'aki', ...kernel }));
      await west.store.write(id, pieces('before'), 6);
      const links = (id: string) => ({ properties: new Map([['kernel_id', id]]) });
      const ami = await putImage(west, 'ami', same, links(old.id));
      const first = await putImage(east, 'aki', 600);
      const source = await putImage(east, 'ami', same, links(first.id));
      west.glance.faults.next({ kind: 'status', status: 403, method: 'PATCH', path: new RegExp(ami.id), times: 2 });
      expect((await world.sync()).state).to.equal('partly');
      const second = await putImage(east, 'aki.new', 700, { diskFormat: 'aki', containerFormat: 'aki' });
      await east.store.update(source.id, links(second.id));
      await east.store.delete(first.id);
      await east.store.update(second.id, { name: 'aki' });
      expect((await world.sync()).state).to.equal('partly');
      expect(west.glance.images.has(old.id)).to.equal(true);
      expect((await world.sync()).state).to.equal('done');
      expect(await contentsOf(west)).to.deep.equal(await contentsOf(east));
      expect(await open()).to.deep.equal([]);
    });

  it('a kernel that images of other projects need stays for them, and as visible as it was', async () => {
    const { east, west } = world;
    const old = await putImage(west, 'aki', 500);
    const theirs = await putImage(west, 'theirs', 10, { properties: new Map([['kernel_id', old.id]]) });
    west.glance.images.get(theirs.id)!.owner = 'another project';
    await putImage(east, 'aki', 600);
    expect((await world.sync()).state).to.equal('done');
    const { name, visibility } = west.glance.images.get(old.id)!;
    expect([name, visibility]).to.deep.equal([`aki.old.${old.id.slice(0, 8)}`, 'public']);
    expect((await world.sync()).regions[0]!.tasks).to.deep.equal([]);
  });

  it('a long name that is put aside keeps within what Glance takes', async () => {
    const { east, west } = world;
    const name = 'n'.repeat(250);
    const old = await putImage(west, 'aki', 500);
    await west.store.update(old.id, { name });
    await putImage(east, name, 600, { diskFormat: 'aki', containerFormat: 'aki' });
    await putImage(west, 'own', 10, { visibility: 'private', properties: new Map([['kernel_id', old.id]]) });
    const report = await world.sync({}, { target: targetWith({ replace: new Set(['any']) }) });
    expect(report.state, JSON.stringify(report.regions[0]!.failure)).to.equal('done');
    const aside = west.glance.images.get(old.id)!.name;
    expect(aside)
      .to.have.length(255)
      .and.to.match(/^n+\.old\.[0-9a-f]{8}$/);
  });
});
