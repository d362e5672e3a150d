import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { runSync } from '../../../src/sync/images/sync.ts';
import type { SyncReport } from '../../../src/sync/images/syncTypes.ts';
import { rejection } from '../../support/errors.ts';
import { listAll } from '../../support/glanceContract.ts';
import { contentsOf, putImage, type SyncWorld, startSyncWorld } from '../../support/imageSync.ts';
import { targetWith } from '../../support/images.ts';

/** A Glance that does not answer. */
async function* failingList(): AsyncGenerator<never> {
  yield* [];
  throw new AllianceError('glance_unreachable');
}

describe('syncs of images', () => {
  let world: SyncWorld;

  before(async () => {
    world = await startSyncWorld();
  });
  after(() => world.close());
  afterEach(() => world.clear());

  const states = (report: SyncReport) =>
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
    // Not protected, or the next sync could not replace it.
    expect(empty).to.deep.include({ tags: ['blue'], minDiskGib: 3, minRamMib: 64, protected: false });
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

  it('brings along what is asked for by name, and what that needs', async () => {
    const { east } = world;
    const kernel = await putImage(east, 'aki');
    await putImage(east, 'ami', 10, { properties: new Map([['kernel_id', kernel.id]]) });
    await putImage(east, 'other');
    expect(states(await world.sync({ only: new Set(['ami']) }))).to.deep.equal(['upload aki done', 'upload ami done']);
  });

  it('sends no more than it may, smallest first', async () => {
    const { east } = world;
    for (const [name, size] of [
      ['a', 3000],
      ['b', 1000],
      ['c', 2000],
    ] as const)
      await putImage(east, name, size);
    const report = await world.sync({ maxBytes: 3500 });
    expect(states(report)).to.deep.equal(['upload b done', 'upload c done', 'upload a skipped']);
    expect(report).to.deep.include({ state: 'partly', sentBytes: 3000 });
  });

  it('members of shared images are mapped, or dropped and told', async () => {
    const { east, west } = world;
    const { id } = await putImage(east, 'shared', 10, { visibility: 'shared' });
    for (const member of ['known', 'unknown']) await east.store.addMember(id, member);
    const target = targetWith({ forceSyncs: new Set([id]) });
    const report = await world.sync({}, { target, mapMember: (project) => (project === 'known' ? 'ours' : null) });
    expect(report.state).to.equal('done');
    expect(report.regions[0]!.notes.map(({ name, text }) => `${name}: ${text}`)).to.deep.equal([
      'shared: Project unknown, which it is shared with, has none here that stands for it.',
    ]);
    const [sent] = await listAll(west.store);
    expect(sent!.visibility).to.equal('shared');
    expect((await west.store.members(sent!.id)).map(({ projectId }) => projectId)).to.deep.equal(['ours']);
  });

  it('a read that breaks goes on at its byte, and nothing is sent twice', async () => {
    const { east, west } = world;
    const { id } = await putImage(east, 'large', 5_000_000);
    east.glance.faults.next({ kind: 'reset', method: 'GET', path: /\/file$/, after: 2_000_000 });
    const [before, uploads] = [east.glance.requests.length, west.glance.requests.length];
    expect((await world.sync()).state).to.equal('done');
    const reads = east.glance.requests.slice(before).filter(({ path }) => path.endsWith(`${id}/file`));
    expect(reads).to.have.length(2);
    expect(reads[1]!.range).to.match(/^bytes=[1-9]\d+-/);
    expect(west.glance.requests.slice(uploads).filter(({ method }) => method === 'PUT')).to.have.length(1);
    expect(await contentsOf(west)).to.deep.equal(await contentsOf(east));
  });

  describe('what is not as it should be', () => {
    const failures = (report: SyncReport) =>
      report.regions.flatMap(({ tasks }) =>
        tasks.map(({ name, state, failure }) => `${name} ${state} ${failure?.name}`),
      );

    it('bytes that arrive as others are taken away again, and all three sides are told', async () => {
      const { east, west } = world;
      const { hash } = await putImage(east, 'one', 200_000);
      await putImage(east, 'two', 100);
      const path = /\/file$/;
      west.glance.faults.next({ kind: 'wrong_bytes', method: 'PUT', path, after: 50_000, times: 3, skip: 1 });
      const report = await world.sync({ imagesParallel: 1 });
      expect(report.state).to.equal('partly');
      expect(failures(report)).to.deep.equal(['two done undefined', 'one failed image_mismatch']);
      const { reason } = report.regions[0]!.tasks[1]!.failure!;
      expect(reason.split(hash!.value)).to.have.length(3);
      expect(reason).to.match(/stored are 200000 bytes, sha512:[0-9a-f]{128}\.$/);
      expect((await listAll(west.store)).map(({ name }) => name)).to.deep.equal(['two']);
      expect(await world.store.transfers.openIn(west.glance.url)).to.deep.equal([]);
    });

    it('and so are bytes that come as others than the source says, before all of them are stored', async () => {
      const { east, west } = world;
      await putImage(east, 'one', 200_000);
      east.glance.faults.next({ kind: 'wrong_bytes', method: 'GET', path: /\/file$/, after: 50_000, times: 3 });
      const seen = new Set<string>();
      const watch = (): void => {
        for (const { status } of west.glance.images.values()) seen.add(status);
      };
      const report = await world.sync({ onEvent: watch });
      expect(failures(report)).to.deep.equal(['one failed image_mismatch']);
      expect([...seen]).to.not.include('active');
      expect(await listAll(west.store)).to.deep.equal([]);
      expect((await world.sync()).state).to.equal('done');
    });

    it('where the two sides have no hash in common the bytes are read back', async () => {
      const { east, west } = world;
      const content = randomBytes(3_000_000);
      const { id } = await putImage(east, 'one', content);
      const value = createHash('sha256').update(content).digest('hex');
      Object.assign(east.glance.images.get(id)!, { checksum: null, hashAlgorithm: 'sha256', hashValue: value });
      west.glance.faults.next({ kind: 'wrong_bytes', method: 'GET', path: /\/file$/, after: 5000 });
      const before = west.glance.requests.length;
      expect((await world.sync()).state).to.equal('done');
      const requests = west.glance.requests.slice(before).map(({ method, path }) => method + path.replace(/.*\//, ' '));
      expect(requests.filter((each) => / file$/.test(each))).to.deep.equal([
        'PUT file',
        'GET file',
        'PUT file',
        'GET file',
      ]);
      expect(await listAll(west.store)).to.have.length(1);
    });

    it('an image that would make a hypervisor read other files never becomes active', async () => {
      const { east, west } = world;
      await putImage(east, 'trap', Buffer.from('QFI\xfbis what a qcow2 begins with', 'latin1'));
      await putImage(east, 'good');
      const report = await world.sync();
      expect(failures(report)).to.have.members(['trap failed image_unsafe', 'good done undefined']);
      expect((await listAll(west.store)).map(({ name }) => name)).to.deep.equal(['good']);
    });

    it('a protected image that would have to go: nothing is sent', async () => {
      const { east, west } = world;
      await putImage(east, 'one');
      const old = await putImage(west, 'one', 20, { protected: true });
      const before = west.glance.requests.length;
      expect(failures(await world.sync())).to.deep.equal(['one failed image_conflict']);
      expect(west.glance.requests.slice(before).filter(({ method }) => method !== 'GET')).to.deep.equal([]);
      expect((await listAll(west.store)).map(({ id }) => id)).to.deep.equal([old.id]);
    });

    for (const [what, change] of [
      ['renamed', { name: 'mine now' }],
      ['deactivated', { status: 'deactivated' }],
      ['of other content', { checksum: 'f'.repeat(32), hashValue: 'f'.repeat(128) }],
    ] as const)
      it(`an image that is ${what} since the plan was made is left as it is`, async () => {
        const { east, west } = world;
        const same = randomBytes(10);
        await putImage(east, 'one');
        await putImage(east, 'two', same, { properties: new Map([['k', 'v']]) });
        const ids = [(await putImage(west, 'one', 20)).id, (await putImage(west, 'two', same)).id];
        const report = await world.sync({
          onEvent: ({ kind }) => {
            if (kind === 'region_planned') for (const id of ids) Object.assign(west.glance.images.get(id)!, change);
          },
        });
        expect(failures(report)).to.have.members(['one failed image_conflict', 'two failed image_conflict']);
        const there = [...west.glance.images.values()];
        expect(there.map(({ id }) => id)).to.have.members(ids);
        for (const image of there) expect(image).to.deep.include({ ...change, properties: new Map() });
      });

    for (const [what, change] of [
      ['deactivated', { status: 'deactivated' }],
      ['another one', { checksum: 'f'.repeat(32), hashValue: 'f'.repeat(128) }],
    ] as const)
      it(`an image of the source that is ${what} since the plan was made is not sent`, async () => {
        const { east, west } = world;
        const { id } = await putImage(east, 'one');
        const before = west.glance.requests.length;
        const report = await world.sync({
          onEvent: ({ kind }) => {
            if (kind === 'region_planned') Object.assign(east.glance.images.get(id)!, change);
          },
        });
        expect(failures(report)).to.deep.equal(['one failed image_conflict']);
        expect(west.glance.requests.slice(before).filter(({ method }) => method !== 'GET')).to.deep.equal([]);
      });

    it('an old image that became another one while the new one was sent stays', async () => {
      const { east, west } = world;
      await putImage(east, 'one');
      const { id } = await putImage(west, 'one', 20);
      const report = await world.sync({
        onEvent: (event) => {
          if (event.kind === 'task_progress') west.glance.images.get(id)!.name = 'mine now';
        },
      });
      expect(report.state).to.equal('done');
      expect(report.regions[0]!.notes[0]!.text).to.include(id);
      expect((await listAll(west.store)).map(({ name }) => name)).to.have.members(['one', 'mine now']);
    });

    it('a region that cannot be reached leaves the others', async () => {
      const { east, west } = world;
      await putImage(east, 'one');
      const store = { ...west.store, list: () => failingList() };
      const [region] = world.request().regions;
      const regions = [{ ...region!, name: 'dead', key: 'dead', store }, region!];
      const report = await world.sync({ regions, parallel: 2 });
      expect(report.state).to.equal('partly');
      expect(report.regions.map(({ state, failure }) => [state, failure?.name])).to.deep.equal([
        ['failed', 'glance_unreachable'],
        ['done', undefined],
      ]);
    });
  });

  describe('kernels that are replaced', () => {
    /** An AMI on both sides, with another kernel on each. */
    async function replaceKernel(): Promise<{ readonly old: string; readonly ami: string }> {
      const { east, west } = world;
      const same = randomBytes(100);
      const links = async (side: typeof east) => new Map([['kernel_id', (await putImage(side, 'aki')).id]]);
      await putImage(east, 'ami', same, { properties: await links(east) });
      const properties = await links(west);
      const ami = await putImage(west, 'ami', same, { properties });
      return { old: properties.get('kernel_id')!, ami: ami.id };
    }
    const names = async () => (await contentsOf(world.west)).map(({ name, properties }) => `${name} ${properties}`);

    it('stay until what leads to them leads to the new one', async () => {
      const { west } = world;
      const { old, ami } = await replaceKernel();
      const watch = ({ kind }: { readonly kind: string }): void => {
        const { images } = west.glance;
        expect(images.has(images.get(ami)!.properties.get('kernel_id')!), kind).to.equal(true);
      };
      const report = await world.sync({ onEvent: watch });
      expect(report.state, JSON.stringify(report.failure)).to.equal('done');
      expect(west.glance.images.has(old)).to.equal(false);
      expect(await names()).to.deep.equal(['aki ', 'ami kernel_id,aki']);
    });

    it('stay with their row of the journal where that could not be changed', async () => {
      const { west, store } = world;
      const { old, ami } = await replaceKernel();
      const fault = { kind: 'status', status: 403, method: 'PATCH', path: new RegExp(ami), times: 2 } as const;
      west.glance.faults.next(fault);
      for (const state of ['partly', 'failed']) {
        expect((await world.sync()).state).to.equal(state);
        expect(west.glance.images.has(old)).to.equal(true);
        expect(await store.transfers.openIn(west.glance.url)).to.have.length(1);
      }
      expect((await world.sync()).state).to.equal('done');
      expect(await names()).to.deep.equal(['aki ', 'ami kernel_id,aki']);
    });

    it('are put aside where an image needs them that no sync changes', async () => {
      const { west } = world;
      const { old } = await replaceKernel();
      await putImage(west, 'own', 10, { visibility: 'private', properties: new Map([['kernel_id', old]]) });
      const report = await world.sync();
      expect(report.state).to.equal('done');
      const aside = `aki.old.${old.slice(0, 8)}`;
      expect(await names()).to.deep.equal(['aki ', `${aside} `, 'ami kernel_id,aki', `own kernel_id,${aside}`]);
      expect(report.regions[0]!.notes[0]!.text).to.include(aside);
      expect(states(await world.sync())).to.deep.equal([]);
    });
  });

  describe('guards', () => {
    it('hold a sync whose region or master has lost most of its images, until somebody approves', async () => {
      const { east, west, store } = world;
      for (const name of 'abc') await putImage(east, name);
      expect((await world.sync({ approved: false })).state).to.equal('done');
      for (const { id } of (await listAll(west.store)).slice(1)) await west.store.delete(id);
      const held = await world.sync({ approved: false });
      expect(held).to.deep.include({ state: 'stopped' });
      expect(held.regions[0]!.failure).to.deep.equal({
        name: 'sync_stopped',
        reason:
          'The sync was stopped: it would change more than is usual. Region west lists only 1 of our images; at the last run there were 3.',
      });
      expect(await listAll(west.store)).to.have.length(1);
      expect((await world.sync()).state).to.equal('done');
      expect(await store.transfers.listedImages(west.glance.url)).to.equal(3);
      for (const { id } of await listAll(east.store)) await east.store.delete(id);
      const empty = await world.sync({ approved: false });
      expect([empty.state, empty.failure?.name]).to.deep.equal(['stopped', 'sync_stopped']);
      expect((await store.executions.get(empty.executionId))!.failure!.name).to.equal('sync_stopped');
    });

    it('hold one that would replace most of what is there', async () => {
      const { east, west } = world;
      for (const name of 'abcd') for (const side of [east, west]) await putImage(side, name);
      const held = await world.sync({ approved: false });
      expect([held.state, held.regions[0]!.failure?.name]).to.deep.equal(['stopped', 'sync_stopped']);
      expect((await world.sync({ approved: false, only: new Set('abc') })).state).to.equal('done');
    });
  });

  describe('runs', () => {
    it('are one at a time in a region', async () => {
      const { east, west, file } = world;
      await putImage(east, 'one', 100_000);
      const other = await file.open();
      let second: Promise<SyncReport> | undefined;
      const first = await world.sync({
        onEvent: ({ kind }) => {
          if (kind === 'task_started')
            second ??= runSync(world.request({ onEvent: () => undefined }), { store: other });
        },
      });
      expect(first.state).to.equal('done');
      const refused = (await second)!;
      expect([refused.state, refused.regions[0]!.failure?.name]).to.deep.equal(['failed', 'sync_running']);
      expect(await listAll(west.store)).to.have.length(1);
    });

    it('end when somebody asks in the database, and take back what they have begun', async function () {
      this.timeout(20_000);
      const { east, west, store } = world;
      await putImage(east, 'slow', 3_000_000);
      await putImage(east, 'waiting', 3_100_000);
      const report = await world.sync({
        imagesParallel: 1,
        bytesPerS: [{ fromMinute: 0, bytesPerS: 100_000 }],
        onEvent: (event) => {
          if (event.kind === 'started') void store.executions.askToStop(event.executionId);
        },
      });
      expect(report).to.deep.include({ state: 'stopped' });
      expect(report.failure!.reason).to.include('Somebody asked it to stop.');
      expect(states(report)).to.deep.equal(['upload slow failed', 'upload waiting skipped']);
      expect(await listAll(west.store)).to.deep.equal([]);
      expect((await store.executions.get(report.executionId))!.state).to.equal('stopped');
    });

    it('end with their signal, and with a listener that throws', async () => {
      const { east, west } = world;
      await putImage(east, 'one', 2_000_000);
      const controller = new AbortController();
      const ended = await world.sync({
        signal: controller.signal,
        onEvent: ({ kind }) => {
          if (kind === 'task_started') controller.abort();
        },
      });
      expect(ended.state).to.equal('stopped');
      const thrown = await world.sync({
        onEvent: ({ kind }) => {
          if (kind === 'task_started') throw new AllianceError('output_lost');
        },
      });
      expect([thrown.state, thrown.failure?.name]).to.deep.equal(['stopped', 'output_lost']);
      expect(await listAll(west.store)).to.deep.equal([]);
    });

    it('are written down, and told as events', async () => {
      const { east, store } = world;
      await putImage(east, 'one', 1_500_000);
      const report = await world.sync();
      const kinds = world.events.map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind !== 'task_progress')).to.deep.equal([
        ...['started', 'region_planned', 'task_started', 'task_ended', 'region_ended', 'ended'],
      ]);
      expect(kinds).to.include('task_progress');
      const [task] = await store.executions.tasks(report.executionId);
      expect(task).to.deep.equal(report.regions[0]!.tasks[0]);
      expect(task).to.deep.include({ state: 'done', sentBytes: 1_500_000, totalBytes: 1_500_000 });
      const execution = (await store.executions.get(report.executionId))!;
      expect(execution).to.deep.include({ state: 'done', trigger: 'manual', source: 'east', regions: ['west'] });
    });

    it('that make no sense are refused', async () => {
      const [region] = world.request().regions;
      for (const more of [{ regions: [region!, region!] }, { parallel: 0 }, { imagesParallel: 1.5 }])
        await rejection(world.sync(more), 'bad_request');
    });
  });

  it('where nothing can be published images stay private, and count as in sync', async () => {
    const { east, west } = world;
    await putImage(east, 'one', 100, { protected: true });
    const store = { ...west.store, publishes: false };
    expect((await world.sync({}, { store })).state).to.equal('done');
    const [image] = await listAll(west.store);
    expect(image).to.deep.include({ visibility: 'private', protected: false });
    expect(states(await world.sync({}, { store }))).to.deep.equal([]);
  });
});
