/** Each request of a sync to either Glance fails once, in turn, in each way that there is; then one plain run makes all good. */
import { expect } from 'chai';
import type { Fault, SandboxGlance } from '../../src/sandbox/glance.ts';
import { crashTarget } from '../support/crashTarget.ts';
import { type CrashWorld, createCrashWorld } from '../support/crashWorld.ts';
import { type SyncWorld, startSyncWorld } from '../support/imageSync.ts';

interface Lane {
  readonly world: SyncWorld;
  readonly crash: CrashWorld;
}

interface Trial {
  readonly side: 'east' | 'west';
  /** Requests that go by before it. */
  readonly skip: number;
  readonly request: string;
  readonly fault: Omit<Fault, 'skip'>;
}

/** Many, since what fails is tried again after a pause. */
const lanes = 8;

const always: readonly Omit<Fault, 'skip'>[] = [
  { kind: 'reset' },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 403 },
];
const changing: readonly Omit<Fault, 'skip'>[] = [...always, { kind: 'lost' }, { kind: 'status', status: 409 }];
const ways = {
  get: [...always, { kind: 'malformed' }, { kind: 'status', status: 404 }],
  download: [
    ...always,
    { kind: 'reset', after: 40_000 },
    { kind: 'cut', after: 40_000 },
    { kind: 'wrong_bytes', after: 100 },
  ],
  upload: [
    ...changing,
    { kind: 'status', status: 413 },
    { kind: 'reset', after: 40_000 },
    { kind: 'cut', after: 40_000 },
    { kind: 'wrong_bytes', after: 100 },
    { kind: 'killed' },
    { kind: 'importing', delayMs: 50 },
  ],
  change: changing,
} as const satisfies Record<string, readonly Omit<Fault, 'skip'>[]>;

function waysOf(method: string, path: string): readonly Omit<Fault, 'skip'>[] {
  if (path.includes('/file')) return method === 'PUT' ? ways.upload : ways.download;
  return method === 'GET' ? ways.get : ways.change;
}

describe('syncs of images whose requests fail', function () {
  this.timeout(480_000);
  const all: Lane[] = [];

  before(async () => {
    for (let i = 0; i < lanes; i++) {
      const world = await startSyncWorld();
      all.push({ world, crash: await createCrashWorld(world) });
    }
  });
  after(async () => {
    for (const { world } of all) await world.close();
  });

  const sync = ({ world }: Lane) => world.sync({ imagesParallel: 1 }, { target: crashTarget });

  async function listTrials(lane: Lane): Promise<Trial[]> {
    await lane.crash.reset();
    const sides = (['east', 'west'] as const).map((side) => {
      const { glance }: { readonly glance: SandboxGlance } = lane.world[side];
      return { side, glance, before: glance.requests.length };
    });
    expect((await sync(lane)).state).to.equal('done');
    return sides.flatMap(({ side, glance, before }) =>
      glance.requests
        .slice(before)
        .flatMap(({ method, path }, skip) =>
          waysOf(method, path).map((fault): Trial => ({ side, skip, request: `${method} ${path}`, fault })),
        ),
    );
  }

  it('converge, whichever fails and however', async () => {
    const trials = await listTrials(all[0]!);
    expect(trials.length).to.be.greaterThan(150);
    const waiting = [...trials];
    const run = async (lane: Lane): Promise<void> => {
      for (let trial = waiting.shift(); trial; trial = waiting.shift()) {
        const { side, skip, fault } = trial;
        const { faults } = lane.world[side].glance;
        await lane.crash.reset();
        const hits = faults.hits;
        faults.next({ ...fault, skip });
        const { state } = await sync(lane);
        expect(faults.hits - hits, JSON.stringify(trial)).to.equal(1);
        await lane.crash.expectConvergence().catch((error: unknown) => {
          throw new Error(`${JSON.stringify(trial)} (${state}): ${String(error)}`, { cause: error });
        });
      }
    };
    await Promise.all(all.map(run));
  });
});
