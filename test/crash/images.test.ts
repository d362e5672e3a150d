/** A sync is killed at many points, some of them while it mends what the one before it left; then one plain run makes all good. */
import { randomInt } from 'node:crypto';
import { expect } from 'chai';
import { type CrashWorld, createCrashWorld } from '../support/crashWorld.ts';
import { type SyncWorld, startSyncWorld } from '../support/imageSync.ts';
import { runSyncProcess, type SyncJob } from '../support/syncProcess.ts';

type Kill = Pick<SyncJob, 'killAtPoint' | 'killAtByte' | 'imagesParallel'>;

/** Worlds at a time; most of each trial is the start of a process. */
const lanes = 2;
const steps = 54;
const positions = 12;
const twice = 8;

describe('syncs of images that are killed', function () {
  this.timeout(480_000);
  const worlds: SyncWorld[] = [];
  const crashes: CrashWorld[] = [];
  let points = 0;
  let bytes = 0;

  before(async () => {
    for (let i = 0; i < lanes; i++) {
      worlds.push(await startSyncWorld());
      crashes.push(await createCrashWorld(worlds[i]!));
    }
    const [crash] = crashes as [CrashWorld];
    await crash.reset();
    const outcome = await runSyncProcess(crash.job());
    expect(outcome?.state).to.equal('done');
    ({ points, bytes } = outcome!);
    await crash.expectConvergence();
  });
  after(async () => {
    for (const world of worlds) await world.close();
  });

  /** Each trial is one or more syncs that are killed one after the other. Returns how many were. */
  async function tryAll(trials: readonly (readonly Kill[])[]): Promise<number> {
    const waiting = [...trials];
    let killed = 0;
    const lane = async (crash: CrashWorld): Promise<void> => {
      for (let trial = waiting.shift(); trial; trial = waiting.shift()) {
        await crash.reset();
        for (const kill of trial) if ((await runSyncProcess(crash.job(kill))) === null) killed += 1;
        await crash.expectConvergence().catch((error: unknown) => {
          throw new Error(`killed at ${JSON.stringify(trial)}: ${String(error)}`, { cause: error });
        });
      }
    };
    await Promise.all(crashes.map(lane));
    return killed;
  }

  it('at steps of the journal and calls to Glance, from the first to the last', async () => {
    const trials = Array.from({ length: steps }, (_, i): Kill[] => [
      // In order, so that points are the same ones in each run, and now and then two images at a time.
      { killAtPoint: 1 + Math.round((i * (points - 1)) / (steps - 1)), imagesParallel: i % 4 === 3 ? 2 : 1 },
    ]);
    expect(new Set(trials.map(([kill]) => kill!.killAtPoint)).size).to.equal(steps);
    expect(await tryAll(trials)).to.be.at.least(steps - 2);
  });

  it('at any byte of what it sends', async () => {
    const trials = Array.from({ length: positions }, (): Kill[] => [
      { killAtByte: randomInt(1, bytes), imagesParallel: 2 },
    ]);
    expect(await tryAll(trials)).to.equal(positions);
  });

  it('and again at any point of the run that mends it', async () => {
    const trials = Array.from({ length: twice }, (): Kill[] => [
      { killAtPoint: randomInt(20, points), imagesParallel: 1 },
      { killAtPoint: randomInt(5, 40), imagesParallel: 1 },
    ]);
    expect(await tryAll(trials)).to.be.at.least(twice + twice / 2);
  });
});
