import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { syncLimits } from '../../src/core/limits.ts';
import type { ExecutionTask, NewExecution } from '../../src/model/execution.ts';
import type { Store } from '../../src/model/store.ts';
import type { NewTransfer } from '../../src/model/transfer.ts';
import { rejection } from '../support/errors.ts';
import { createTestClock, createTestFile, type TestFile, testStart } from '../support/store.ts';

const options = { compat: false, only: ['a'], parallel: 2, imagesParallel: 3, maxBytes: null, approved: false };
const newExecution = (more: Partial<NewExecution> = {}): NewExecution => ({
  ...{ id: randomUUID(), trigger: 'manual', source: 'east', regions: ['west', 'a'], options },
  ...more,
});
const newTask = (more: Partial<ExecutionTask> = {}): ExecutionTask => ({
  ...{ id: randomUUID(), region: 'west', position: 0, kind: 'upload', name: 'image', sourceId: 's', imageId: null },
  ...{ totalBytes: 2 ** 40, sentBytes: 0, state: 'waiting', failure: null, startedAt: null, endedAt: null },
  ...more,
});

describe('stored executions', () => {
  const clock = createTestClock();
  let file: TestFile;
  let store: Store;

  beforeEach(async () => {
    file = createTestFile(clock);
    store = await file.open();
  });
  afterEach(() => file.remove());

  const begin = async (more: Partial<NewExecution> = {}): Promise<string> => {
    const execution = newExecution(more);
    await store.executions.begin(execution);
    return execution.id;
  };

  it('are as they were begun', async () => {
    const execution = newExecution();
    await store.executions.begin(execution);
    const stored = (await store.executions.get(execution.id))!;
    expect(stored).to.deep.include({ ...execution, state: 'running', failure: null, stopAsked: false, endedAt: null });
    const regions = await store.executions.regions(execution.id);
    expect(regions.map(({ region, state }) => [region, state])).to.deep.equal([
      ['west', 'waiting'],
      ['a', 'waiting'],
    ]);
    await rejection(store.executions.begin(execution), 'bad_request');
    expect(await store.executions.get('none')).to.equal(null);
  });

  it('tasks are kept in the order of regions and plans, with whatever happens to them', async () => {
    const id = await begin();
    const tasks = [newTask({ position: 1 }), newTask({ region: 'a' }), newTask({ position: 0 })];
    await store.executions.addTasks(id, tasks);
    const done = { ...tasks[0]!, state: 'done', sentBytes: 2 ** 40, imageId: 'new', startedAt: 1, endedAt: 2 } as const;
    await store.executions.setTask(id, done);
    expect(await store.executions.tasks(id)).to.deep.equal([tasks[2], done, tasks[1]]);
  });

  it('many tasks are stored at once', async () => {
    const id = await begin();
    const tasks = Array.from({ length: 1200 }, (_, position) => newTask({ position }));
    await store.executions.addTasks(id, tasks);
    expect(await store.executions.tasks(id)).to.deep.equal(tasks);
  });

  it('end once, and what is open ends with them', async () => {
    const id = await begin();
    await store.executions.addTasks(id, [newTask({ state: 'running' }), newTask({ position: 1 })]);
    await store.executions.setRegion(id, 'west', 'running', null);
    const failure = { name: 'internal', reason: 'x'.repeat(syncLimits.reasonCharacters + 10) };
    await store.executions.end(id, 'failed', failure);
    await store.executions.end(id, 'done', null);
    const ended = (await store.executions.get(id))!;
    expect(ended).to.deep.include({ state: 'failed', endedAt: testStart });
    expect(ended.failure!.reason).to.have.length(syncLimits.reasonCharacters);
    expect((await store.executions.tasks(id)).map(({ state }) => state)).to.deep.equal(['failed', 'skipped']);
    expect((await store.executions.regions(id)).map(({ state }) => state)).to.deep.equal(['failed', 'failed']);
  });

  it('are asked to stop, which their runner hears', async () => {
    const id = await begin();
    expect(await store.executions.touch(id)).to.equal(false);
    expect(await store.executions.askToStop(id)).to.equal(true);
    expect(await store.executions.touch(id)).to.equal(true);
    await store.executions.end(id, 'stopped', null);
    expect(await store.executions.askToStop(id)).to.equal(false);
    expect(await store.executions.touch(id), 'an ended one must not go on').to.equal(true);
  });

  it('are listed newest first, and by what is asked for', async () => {
    const first = await begin({ trigger: 'rest' });
    clock.advance(1000);
    const second = await begin({ regions: ['b'] });
    await store.executions.end(first, 'partly', null);
    const ids = async (filter?: Parameters<Store['executions']['list']>[0]) =>
      (await store.executions.list(filter)).map(({ id }) => id);
    expect(await ids()).to.deep.equal([second, first]);
    expect(await ids({ limit: 1 })).to.deep.equal([second]);
    expect(await ids({ trigger: 'rest' })).to.deep.equal([first]);
    expect(await ids({ region: 'b' })).to.deep.equal([second]);
    expect(await ids({ states: ['partly', 'failed'] })).to.deep.equal([first]);
  });

  it('whose runner was silent for too long have failed', async () => {
    const id = await begin();
    expect(await store.executions.endBroken(clock.now())).to.deep.equal([]);
    expect(await store.executions.endBroken(clock.now() + syncLimits.silentMs + 1)).to.deep.equal([id]);
    const { failure } = (await store.executions.get(id))!;
    expect(failure?.reason).to.equal('The process that ran it ended before it did.');
  });

  it('are forgotten by age, and deleted when asked, but never while they run', async () => {
    const [old, running, young] = [await begin(), await begin(), await begin()];
    await store.executions.end(old, 'done', null);
    clock.advance(syncLimits.executionsMs);
    await store.executions.end(young, 'done', null);
    expect(await store.executions.delete(running)).to.equal(false);
    await store.executions.prune(clock.now());
    const left = (await store.executions.list()).map(({ id }) => id);
    expect(left).to.have.members([running, young]);
    await store.executions.addTasks(young, [newTask()]);
    expect(await store.executions.delete(young)).to.equal(true);
    expect(await store.executions.tasks(young)).to.deep.equal([]);
  });
});

describe('stored transfers', () => {
  const clock = createTestClock();
  let file: TestFile;
  before(() => {
    file = createTestFile(clock);
  });
  after(() => file.remove());

  const newTransfer = (): NewTransfer => ({
    ...{ id: randomUUID(), executionId: 'e', taskId: 't', regionKey: 'west', imageId: randomUUID(), name: 'n' },
    ...{ sourceId: 's', content: { sizeBytes: 2 ** 40, checksum: null, hash: { algorithm: 'sha512', value: 'ab' } } },
    old: { id: 'old', name: 'n', newName: null, sizeBytes: 1, checksum: 'c', hash: null },
    final: { visibility: 'public', hidden: false, members: ['p'] },
  });

  it('are open from their first step until they are closed, also for another process', async () => {
    const [store, other] = [await file.open(), await file.open()];
    const transfer = newTransfer();
    await store.transfers.begin(transfer);
    const begun = { ...transfer, step: 'create', createdAt: clock.now(), updatedAt: clock.now() };
    expect(await other.transfers.openIn('west')).to.deep.equal([begun]);
    expect(await other.transfers.openIn('east')).to.deep.equal([]);
    clock.advance(5);
    const content = { ...transfer.content, checksum: 'md5' };
    await store.transfers.setStep(transfer.id, 'verify', content);
    await store.transfers.setStep(transfer.id, 'publish');
    expect(await other.transfers.openIn('west')).to.deep.equal([
      { ...begun, step: 'publish', content, updatedAt: clock.now() },
    ]);
    await other.transfers.close(transfer.id);
    expect(await store.transfers.openIn('west')).to.deep.equal([]);
    await rejection(store.transfers.setStep(transfer.id, 'retire'), 'internal');
  });

  it('how many images were listed is remembered for each place', async () => {
    const { transfers } = await file.open();
    expect(await transfers.listedImages('west')).to.equal(null);
    await transfers.setListedImages('west', 4);
    await transfers.setListedImages('west', 0);
    expect([await transfers.listedImages('west'), await transfers.listedImages('east')]).to.deep.equal([0, null]);
  });
});
