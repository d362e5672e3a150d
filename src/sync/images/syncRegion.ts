/** One region of a sync: what is unfinished is mended, then it is planned, then the plan is carried out. */
import { AllianceError } from '../../core/errors.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { RegionState } from '../../model/execution.ts';
import type { FinishContext } from './finish.ts';
import { readImages, toImage, withVisibilityOfMaster } from './fromStore.ts';
import { changeAlarm, listingAlarm } from './guard.ts';
import { isOwn } from './image.ts';
import type { RegionPlan } from './plan.ts';
import { planRegion } from './planner.ts';
import { failureOf, Progress } from './progress.ts';
import { recover } from './recover.ts';
import { leaseRegion, type RegionLease } from './regionLease.ts';
import type { Run } from './run.ts';
import { carryOut } from './syncTask.ts';
import type { Recovery, RegionEnd, RegionReport } from './syncTypes.ts';
import { planTasks, runTasks, wantedActions } from './tasks.ts';

/** What fails is in the report. Throws only where the database does. */
export async function syncRegion(region: RegionEnd, run: Run): Promise<RegionReport> {
  const progress = new Progress(region.name, { ...run, executions: run.store.executions });
  const sync = new RegionSync(region, run, progress);
  let state: RegionState;
  let failure = null;
  try {
    state = await sync.run();
  } catch (error) {
    failure = failureOf(error);
    state = run.signal.aborted || failure.name === 'sync_stopped' ? 'stopped' : 'failed';
  }
  await progress.region(state, failure);
  run.emit({ kind: 'region_ended', region: region.name, state, failure });
  const { plan, recovered } = sync;
  return { region: region.name, state, plan, tasks: progress.tasks, recovered, notes: progress.notes, failure };
}

class RegionSync {
  readonly #region: RegionEnd;
  readonly #run: Run;
  readonly #progress: Progress;
  plan: RegionPlan | null = null;
  recovered: readonly Recovery[] = [];

  constructor(region: RegionEnd, run: Run, progress: Progress) {
    this.#region = region;
    this.#run = run;
    this.#progress = progress;
  }

  async run(): Promise<RegionState> {
    this.#run.signal.throwIfAborted();
    const lease = await leaseRegion(this.#run.store.leases, this.#region);
    const controller = new AbortController();
    const ends = [this.#run.signal, lease.signal];
    const end = (event: Event): void => controller.abort((event.target as AbortSignal).reason);
    for (const signal of ends) signal.addEventListener('abort', end);
    try {
      await this.#progress.region('running');
      return await this.#work(lease, controller.signal);
    } finally {
      for (const signal of ends) signal.removeEventListener('abort', end);
      await lease.release();
    }
  }

  async #work(lease: RegionLease, signal: AbortSignal): Promise<RegionState> {
    const { transfers } = this.#run.store;
    const { key, store, name } = this.#region;
    const journal = {
      begin: async (transfer: Parameters<typeof transfers.begin>[0]) => {
        await lease.hold();
        await transfers.begin(transfer);
      },
      step: async (...[{ id }, ...step]: Parameters<FinishContext['journal']['step']>) => {
        await lease.hold();
        await transfers.setStep(id, ...step);
      },
      close: async ({ id }: { readonly id: string }) => transfers.close(id),
    };
    const note = (about: string) => (text: string) => this.#progress.note(about, text);
    this.recovered = await recover(
      await transfers.openIn(key),
      { store, journal, signal, note: note('') },
      this.#run.clock.now(),
    );
    for (const recovery of this.recovered) this.#run.emit({ kind: 'recovered', region: name, recovery });

    const listed = await readImages(store, { signal });
    // What could not be taken back now is no image.
    for (const { imageId, step } of await transfers.openIn(key))
      if (step !== 'publish' && step !== 'retire' && step !== 'clear') listed.delete(imageId);
    const plan = this.#plan(listed);
    this.plan = plan;
    if (plan.failure !== null) throw new AllianceError('bad_request', { field: name, details: plan.failure });
    const own = this.#countOwn(listed);
    const { only, approved, imagesParallel } = this.#run.request;
    const actions = wantedActions(plan.actions, this.#region.only ?? only);
    if (!approved) await this.#guard(plan, actions, own);

    const planned = planTasks(name, actions);
    await this.#progress.planned(planned.map(({ task }) => task));
    this.#run.emit({ kind: 'region_planned', region: name, plan, tasks: planned.map(({ task }) => task) });
    const context = { region: this.#region, run: this.#run, progress: this.#progress, journal, listed, signal };
    const sentIds = new Map<string, string>();
    await runTasks(planned, imagesParallel, {
      run: (each) => carryOut(each, { ...context, sentIds, note: note(each.task.name) }),
      skip: (each, need) => {
        const reason = `It needs ${need}, which was not sent.`;
        return this.#progress.ended(each.task.id, 'skipped', { name: 'image_conflict', reason });
      },
    });
    if (signal.aborted) throw signal.reason as Error;
    const state = this.#stateOf();
    if (state === 'done') await transfers.setListedImages(key, own + this.#added());
    return state;
  }

  #plan(listed: ReadonlyMap<string, StoredImage>): RegionPlan {
    const { store, target, projectId } = this.#region;
    const { master, request } = this.#run;
    const images = [...listed.values()].map(toImage);
    const listing = store.publishes ? images : withVisibilityOfMaster(images, master, projectId);
    return planRegion({ master, listing, target, projectId, compat: request.compat });
  }

  #countOwn(listed: ReadonlyMap<string, StoredImage>): number {
    return [...listed.values()].filter(({ owner }) => isOwn(owner, this.#region.projectId)).length;
  }

  /** @throws AllianceError sync_stopped */
  async #guard(plan: RegionPlan, actions: RegionPlan['actions'], own: number): Promise<void> {
    const { name, key } = this.#region;
    const present = plan.entries.filter(({ status }) => status !== 'pending_upload').length;
    const before = await this.#run.store.transfers.listedImages(key);
    const details = listingAlarm(`Region ${name}`, before, own) ?? changeAlarm(name, actions, present);
    if (details !== undefined) throw new AllianceError('sync_stopped', { field: name, details });
  }

  #stateOf(): RegionState {
    const { tasks } = this.#progress;
    const done = tasks.filter(({ state }) => state === 'done').length;
    const left = this.recovered.some(({ outcome }) => outcome === 'left');
    if (done === tasks.length && !left) return 'done';
    return done > 0 || tasks.length === 0 ? 'partly' : 'failed';
  }

  /** Images that there are more than were listed. */
  #added(): number {
    return this.#progress.tasks.filter(
      ({ kind, state }) => kind !== 'replace' && state === 'done' && kind !== 'update' && kind !== 'obsolete',
    ).length;
  }
}
