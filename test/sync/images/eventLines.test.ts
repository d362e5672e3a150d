import { expect } from 'chai';
import { linesOf } from '../../../src/sync/images/eventLines.ts';
import type { SyncEvent, SyncReport, SyncTask } from '../../../src/sync/images/syncTypes.ts';

const failure = { name: 'image_quota', reason: 'There is no room.' };

describe('sync/images/eventLines', () => {
  const task = (changes: Partial<SyncTask>) =>
    ({
      kind: 'replace',
      name: 'ubuntu',
      totalBytes: 3 * 1024 ** 2,
      state: 'running',
      failure: null,
      ...changes,
    }) as SyncTask;
  const told = (event: SyncEvent) =>
    linesOf(event, 5).map(({ at, level, region, image, text }) => {
      expect(at).to.equal(5);
      return [level, region, image, text];
    });

  it('says of a task what it does, and what became of it', () => {
    const region = 'B';
    expect(told({ kind: 'task_started', region, task: task({}) })).to.deep.equal([
      ['info', 'B', 'ubuntu', 'sending, to replace the one that is there (3.0 MiB)'],
    ]);
    expect(told({ kind: 'task_progress', region, task: task({}) })).to.deep.equal([]);
    expect(told({ kind: 'task_ended', region, task: task({ state: 'done' }) })).to.deep.equal([
      ['info', 'B', 'ubuntu', 'done (3.0 MiB)'],
    ]);
    expect(told({ kind: 'task_ended', region, task: task({ state: 'failed', failure }) })).to.deep.equal([
      ['error', 'B', 'ubuntu', 'failed: There is no room. [image_quota]'],
    ]);
  });

  it('says of a plan what an operator should know, each thing in a line', () => {
    const notices = [{ kind: 'duplicate', name: 'x', details: 'There are several.' }] as const;
    const plan = { entries: [], actions: [], notices, failure: null };
    expect(told({ kind: 'region_planned', region: 'B', plan, tasks: [task({})] })).to.deep.equal([
      ['warn', 'B', 'x', 'duplicate: There are several.'],
      ['info', 'B', null, 'planned: 1 task'],
    ]);
  });

  it('says of regions and of the whole how they ended', () => {
    expect(told({ kind: 'started', executionId: 'e', regions: ['A', 'B'] })).to.deep.equal([
      ['info', null, null, 'began, for A, B'],
    ]);
    expect(told({ kind: 'region_ended', region: 'B', state: 'stopped', failure })).to.deep.equal([
      ['warn', 'B', null, 'stopped: There is no room. [image_quota]'],
    ]);
    const report = { state: 'failed', failure, sentBytes: 0 } as unknown as SyncReport;
    expect(told({ kind: 'ended', report })).to.deep.equal([
      ['error', null, null, 'ended: failed: There is no room. [image_quota]'],
    ]);
    const recovery = { name: 'x', imageId: 'i', outcome: 'left', reason: 'Glance is away.' } as const;
    expect(told({ kind: 'recovered', region: 'B', recovery })).to.deep.equal([
      ['warn', 'B', 'x', 'left unfinished by an earlier run, now left: Glance is away.'],
    ]);
    expect(told({ kind: 'note', region: 'B', name: 'x', text: 'A member was dropped.' })).to.deep.equal([
      ['warn', 'B', 'x', 'A member was dropped.'],
    ]);
  });
});
