import { expect } from 'chai';
import { partsOf } from '../../src/cli/executionAgain.ts';
import type {
  Execution,
  ExecutionRegion,
  ExecutionTask,
  Failure,
  RegionState,
  TaskState,
} from '../../src/model/execution.ts';

const guard: Failure = { name: 'sync_stopped', reason: 'It has shrunk.' };
const broken: Failure = { name: 'glance_unreachable', reason: 'Glance is away.' };

describe('cli/executionAgain', () => {
  const execution = (failure: Failure | null = null) => ({ failure }) as Execution;
  const region = (name: string, state: RegionState, failure: Failure | null = null): ExecutionRegion => ({
    ...{ region: name, state, failure, endedAt: null },
  });
  const task = (place: string, name: string, state: TaskState) => ({ region: place, name, state }) as ExecutionTask;
  const plain = (...args: Parameters<typeof partsOf>) =>
    [...partsOf(...args)].map(([name, only]) => [name, only && [...only]]);

  const regions = [region('A', 'done'), region('B', 'partly'), region('C', 'failed', broken), region('D', 'stopped', guard)]; // biome-ignore format: one line
  const tasks = [
    ...[task('A', 'x', 'done'), task('B', 'x', 'done'), task('B', 'y', 'failed'), task('B', 'z', 'skipped')],
    task('D', 'x', 'done'),
  ];

  it('retry takes the regions that are not done, and of them the images that are not', () => {
    expect(plain('retry', execution(), regions, tasks)).to.deep.equal([
      ['B', ['y', 'z']],
      ['C', null],
    ]);
    expect(plain('retry', execution(), [region('A', 'done')], tasks)).to.deep.equal([]);
    // It left something else undone than an image.
    expect(plain('retry', execution(), [region('A', 'partly')], tasks)).to.deep.equal([['A', null]]);
  });

  it('approve takes what a guard stopped: all of it, or single regions', () => {
    expect(plain('approve', execution(), regions, tasks)).to.deep.equal([['D', null]]);
    const all = [region('A', 'stopped'), region('B', 'stopped')];
    expect(plain('approve', execution(guard), all, [])).to.deep.equal([
      ['A', null],
      ['B', null],
    ]);
    expect(plain('retry', execution(guard), all, [])).to.deep.equal([]);
    expect(plain('approve', execution(broken), [region('A', 'failed')], [])).to.deep.equal([]);
  });
});
