/** Bars on a terminal, lines elsewhere, and a log for each region. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { logFile, openRegionLogs } from '../../src/cli/imageLogs.ts';
import { barText, Rate, startSyncProgress } from '../../src/cli/imageProgress.ts';
import type { AllianceError } from '../../src/core/errors.ts';
import { listingFile } from '../../src/sync/images/scenario.ts';
import type { SyncEvent, SyncTask } from '../../src/sync/images/syncTypes.ts';
import { temporaryDirectory } from '../support/directory.ts';

const MIB = 1024 * 1024;
/** One line up, and away with what is there. */
const erased = '\x1b[1A\r\x1b[J';

const task = (more: Partial<SyncTask> = {}): SyncTask => ({
  id: 't1',
  region: 'A',
  position: 0,
  kind: 'upload',
  name: 'evil\x1b[2J',
  sourceId: 's',
  imageId: null,
  totalBytes: 100 * MIB,
  sentBytes: 0,
  state: 'running',
  failure: null,
  startedAt: 0,
  endedAt: null,
  ...more,
});
const plan = { entries: [], actions: [], notices: [], failure: null };
const events = (): SyncEvent[] => [
  { kind: 'started', executionId: 'x', regions: ['A'] },
  { kind: 'region_planned', region: 'A', plan, tasks: [task(), task({ id: 't2', name: 'second' })] },
  { kind: 'task_started', region: 'A', task: task() },
  { kind: 'task_progress', region: 'A', task: task({ sentBytes: 0 }) },
  { kind: 'task_progress', region: 'A', task: task({ sentBytes: 25 * MIB }) },
  { kind: 'task_ended', region: 'A', task: task({ sentBytes: 100 * MIB, state: 'done' }) },
];

describe('cli/imageProgress', () => {
  it('a bar tells share, size, rate and time left', () => {
    expect(barText(25 * MIB, 100 * MIB, 12.5 * MIB)).to.equal(
      '[#####...............]  25%  100.0 MiB  12.5 MiB/s  6 s left',
    );
    expect(barText(0, 3 * 1024 * MIB, 0)).to.equal('[....................]   0%  3.00 GiB');
    expect(barText(5, 5, 100 * MIB)).to.equal('[####################] 100%  0.0 MiB  100.0 MiB/s');
    expect(barText(0, 0, 0)).to.contain('100%');
  });

  it('a rate follows what flows, from the first samples on, and through a new attempt', () => {
    const rate = new Rate();
    expect(rate.bytesPerS).to.equal(0);
    for (let second = 0; second <= 10; second++) rate.add(second * 1000, second * 1000);
    expect(rate.bytesPerS).to.be.closeTo(1000, 1e-6);
    for (let second = 0; second <= 30; second++) rate.add(second * 5000, 11_000 + second * 1000);
    expect(rate.bytesPerS).to.be.closeTo(5000, 50);
  });

  it('lines where there is no terminal, and nothing that a terminal would obey', () => {
    const stderr = new PassThrough();
    const progress = startSyncProgress(stderr);
    for (const event of events()) progress.take(event);
    progress.stop();
    const text = String(stderr.read());
    expect(text).to.match(/^began, for A\nA: planned: 2 tasks/);
    expect(text).to.contain('A: evil\\x1b[2J: sending (100.0 MiB)\n').and.contain('done (100.0 MiB)');
    expect(text).not.to.contain('\x1b');
  });

  it('on a terminal a bar for each image and one for all, which go when it ends', () => {
    const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 0 });
    let now = 0;
    const progress = startSyncProgress(stderr, () => now);
    const drawn: string[] = [];
    for (const event of events()) {
      now += 1000;
      progress.take(event);
      drawn.push(String(stderr.read() ?? ''));
    }
    expect(drawn[1]).to.match(/0% {2}200\.0 MiB {2}0 of 2\n$/);
    // What is said replaces the bars, and they come again below it.
    expect(drawn[5]!.startsWith(`${erased}A: evil\\x1b[2J: done (100.0 MiB)\n`)).to.equal(true);
    expect(drawn[5]).to.match(/\[#{10}\.{10}\] {2}50% .* 1 of 2\n$/);
    progress.stop();
    expect(String(stderr.read())).to.equal(erased);
  });

  it('bars are drawn again and again, no wider than the terminal', async () => {
    const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 40 });
    const progress = startSyncProgress(stderr, () => 0);
    for (const event of events().slice(0, 5)) progress.take(event);
    stderr.read();
    let text = '';
    for await (const chunk of stderr) {
      text += String(chunk);
      if (text.includes('…')) break;
    }
    progress.stop();
    const lines = text.split('\n').map((line) => line.replaceAll(erased, '').replaceAll('\x1b[2A\r\x1b[J', ''));
    expect(Math.max(...lines.map((line) => line.length))).to.be.below(40);
  });
});

describe('cli/imageLogs', () => {
  const directory = temporaryDirectory();
  after(() => directory.remove());

  it('the name of a region leads nowhere else', () => {
    expect(['other:Madrid', '../x', '.', 'a/b\u{1f600}\ud800'].map(logFile)).to.deep.equal([
      'other:Madrid.txt',
      '%2e.%2fx.txt',
      '%2e.txt',
      'a%2fb%f0%9f%98%80%ef%bf%bd.txt',
    ]);
  });

  it('whatever it is, it is one name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (region) => {
        expect(logFile(region)).to.match(/^(?!\.)[\w:.@+%-]*\.txt$/);
        expect(listingFile(region)).not.to.match(/[/\\\0]/);
      }),
    );
  });

  it('has what concerns its region, and what concerns all; a disk that fails ends nothing', () => {
    const path = directory.file('logs');
    const failures: AllianceError[] = [];
    const logs = openRegionLogs(path, ['A', 'B'], { now: () => 0, failed: (error) => failures.push(error) });
    for (const event of events()) logs.take(event);
    expect(readdirSync(path).sort()).to.deep.equal(['A.txt', 'B.txt']);
    expect(readFileSync(`${path}/B.txt`, 'utf8')).to.equal('1970-01-01T00:00:00Z INFO began, for A\n');
    expect(readFileSync(`${path}/A.txt`, 'utf8').split('\n')).to.have.length(5);
    rmSync(`${path}/A.txt`);
    mkdirSync(`${path}/A.txt`);
    for (const event of events()) logs.take(event);
    expect(failures.map(({ field, errorName }) => [field, errorName])).to.deep.equal([
      ['--log-dir', 'file_not_written'],
    ]);
  });
});
