/** One region of a sync: what is unfinished is mended, then it is planned, then the plan is carried out. */
import { setMaxListeners } from 'node:events';
import { AllianceError } from '../../core/errors.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { RegionState } from '../../model/execution.ts';
import { toImage, withVisibilityOfMaster } from './fromStore.ts';
import { changeAlarm, foreignAlarm, listingAlarm } from './guard.ts';
import { isOwn } from './image.ts';
import { type Mended, mend } from './mend.ts';
import type { RegionPlan } from './plan.ts';
import { planRegion } from './planner.ts';
import { failureOf, Progress } from './progress.ts';
import { journalOf } from './regionJournal.ts';
import { leaseRegion, type RegionLease } from './regionLease.ts';
import type { Run } from './run.ts';
import type { SendJournal } from './send.ts';
import { carryOut } from './syncTask.ts';
import type { Recovery, RegionEnd, RegionReport, SyncTask } from './syncTypes.ts';
import { type PlannedTask, planTasks, runTasks, wantedActions } from './tasks.ts';

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
    // One for each request that runs, and more are no leak.
    setMaxListeners(0, controller.signal);
    const ends = [this.#run.signal, lease.signal];
    const end = (event: Event): void => controller.abort((event.target as AbortSignal).reason);
    for (const signal of ends) signal.addEventListener('abort', end);
    try {
      // It may have ended while the lease was asked for.
      this.#run.signal.throwIfAborted();
      await this.#progress.region('running');
      return await this.#work(lease, controller.signal);
    } finally {
      for (const signal of ends) signal.removeEventListener('abort', end);
      await lease.release();
    }
  }

  async #work(lease: RegionLease, signal: AbortSignal): Promise<RegionState> {
    const { store, request, emit } = this.#run;
    const { key, name, store: images, projectId } = this.#region;
    const journal = journalOf(store.transfers, lease);
    const note = this.#noteOn('');
    const mended = await mend({ region: this.#region, run: this.#run, journal, signal, note });
    const { listed, retirements, held } = mended;
    this.recovered = mended.recovered;
    for (const recovery of mended.recovered) emit({ kind: 'recovered', region: name, recovery });
    const plan = this.#plan(listed, retirements.leaving());
    this.plan = plan;
    if (plan.failure !== null) throw new AllianceError('bad_request', { field: name, details: plan.failure });
    const own = countOwn(listed, projectId);
    const wanted = wantedActions(plan.actions, this.#region.only ?? request.only);
    const actions = this.#withoutHeld(wanted, { listed, held });
    if (!request.approved) await this.#guard(plan, actions, listed);

    const planned = planTasks(name, actions);
    await this.#progress.planned(planned.map(({ task }) => task));
    emit({ kind: 'region_planned', region: name, plan, tasks: planned.map(({ task }) => task) });
    await this.#runTasks(planned, { ...mended, journal, signal });
    if (signal.aborted) throw signal.reason as Error;
    const context = { store: images, journal, signal, note };
    const settled = await retirements.settle(unchangedBy(planned, this.#progress.tasks), context);
    const state = this.#stateOf(settled && held.size === 0);
    if (state === 'done') await store.transfers.setListedImages(key, own + addedBy(this.#progress.tasks));
    return state;
  }

  readonly #noteOn =
    (about: string) =>
    (text: string): void =>
      this.#progress.note(about, text);

  #withoutHeld(
    actions: RegionPlan['actions'],
    { listed, held }: Pick<Mended, 'listed' | 'held'>,
  ): RegionPlan['actions'] {
    return actions.filter((action) => {
      const { name } = action;
      const isHeld = held.has(name) || ('id' in action && held.has(listed.get(action.id)?.name ?? ''));
      if (isHeld) this.#noteOn(name)('It is left as it is, since an earlier sync of it could not be finished so far.');
      return !isHeld;
    });
  }

  async #runTasks(
    planned: readonly PlannedTask[],
    { listed, retirements, journal, signal }: Mended & { readonly journal: SendJournal; readonly signal: AbortSignal },
  ): Promise<void> {
    const { postpone } = retirements;
    const common = {
      region: this.#region,
      run: this.#run,
      progress: this.#progress,
      journal,
      listed,
      signal,
      postpone,
    };
    const context = { ...common, sentIds: new Map<string, string>() };
    await runTasks(planned, this.#run.request.imagesParallel, {
      run: (each) => carryOut(each, { ...context, note: this.#noteOn(each.task.name) }),
      skip: (each, need) => {
        const reason = `It needs ${need}, which was not sent.`;
        return this.#progress.ended(each.task.id, 'skipped', { name: 'image_conflict', reason });
      },
    });
  }

  /** What goes anyway is not replaced once more instead of the one that came for it. */
  #plan(listed: ReadonlyMap<string, StoredImage>, leaving: ReadonlySet<string>): RegionPlan {
    const { store, target, projectId } = this.#region;
    const { master, request } = this.#run;
    const images = [...listed.values()].filter(({ id }) => !leaving.has(id)).map(toImage);
    const listing = store.publishes ? images : withVisibilityOfMaster(images, master, projectId);
    return planRegion({ master, listing, target, projectId, compat: request.compat });
  }

  /** @throws AllianceError sync_stopped */
  async #guard(
    plan: RegionPlan,
    actions: RegionPlan['actions'],
    listed: ReadonlyMap<string, StoredImage>,
  ): Promise<void> {
    const { name, key, projectId } = this.#region;
    const present = plan.entries.filter(({ status }) => status !== 'pending_upload').length;
    const before = await this.#run.store.transfers.listedImages(key);
    const details =
      listingAlarm(`Region ${name}`, before, countOwn(listed, projectId)) ??
      foreignAlarm(name, actions, foreignIn(listed, projectId)) ??
      changeAlarm(name, actions, { present, listed });
    if (details !== undefined) throw new AllianceError('sync_stopped', { field: name, details });
  }

  #stateOf(settled: boolean): RegionState {
    const { tasks } = this.#progress;
    const done = tasks.filter(({ state }) => state === 'done').length;
    const left = !settled || this.recovered.some(({ outcome }) => outcome === 'left');
    if (done === tasks.length && !left) return 'done';
    return done > 0 || tasks.length === 0 ? 'partly' : 'failed';
  }
}

const foreignIn = (listed: ReadonlyMap<string, StoredImage>, projectId: string): ReadonlySet<string> =>
  new Set([...listed.values()].filter(({ owner }) => !isOwn(owner, projectId)).map(({ id }) => id));

const countOwn = (listed: ReadonlyMap<string, StoredImage>, projectId: string): number =>
  [...listed.values()].filter(({ owner }) => isOwn(owner, projectId)).length;

/** Images that there are more than were listed. */
const addedBy = (tasks: readonly SyncTask[]): number =>
  tasks.filter(({ kind, state }) => state === 'done' && (kind === 'upload' || kind === 'rename')).length;

/** Ids of images that were to be changed or replaced, and are as they were. */
function unchangedBy(planned: readonly PlannedTask[], tasks: readonly SyncTask[]): Set<string> {
  const done = new Set(tasks.filter(({ state }) => state === 'done').map(({ id }) => id));
  return new Set(
    planned.flatMap(({ task, action }) => {
      const id = 'source' in action ? action.old?.id : action.id;
      return id === undefined || done.has(task.id) ? [] : [id];
    }),
  );
}
