/** GlanceSync's REST API on top of executions: a task is an execution whose trigger is `rest`. */
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { imageRestLimits } from '../core/limits.ts';
import type { ImageStatus, RestTask, SyncService } from '../http/glancesync/service.ts';
import type { Execution, ExecutionRegion, ExecutionTask, Failure } from '../model/execution.ts';
import { readImages, toImage, withVisibilityOfMaster } from '../sync/images/fromStore.ts';
import { compareContent, type Image, isActive } from '../sync/images/image.ts';
import { masterTarget } from '../sync/images/imagesConfig.ts';
import { isUnfinished } from '../sync/images/marks.ts';
import { readMaster } from '../sync/images/master.ts';
import { planRegion } from '../sync/images/planner.ts';
import { expandsTarget, fullName } from '../sync/images/regions.ts';
import type { End } from '../sync/images/syncTypes.ts';
import { type ImageEnds, openImageEnds } from './imageEnds.ts';
import { type ImageRuns, plainOptions } from './imageRuns.ts';
import type { Installation } from './installation.ts';

const trigger = 'rest';

export class ImageRest implements SyncService {
  readonly #installation: Installation;
  readonly #runs: ImageRuns;
  /** Starts that are under way, by region: a second one gets the same task. */
  readonly #starting = new Map<string, Promise<RestTask>>();

  constructor(installation: Installation, runs: ImageRuns) {
    this.#installation = installation;
    this.#runs = runs;
  }

  async assertRegion(region: string): Promise<void> {
    await (await this.#open(region)).close();
  }

  async status(region: string, name: string | null, signal: AbortSignal): Promise<readonly ImageStatus[]> {
    const ends = await this.#open(region);
    try {
      // The master compares with itself where it is asked for.
      const destination = ends.regions[0] ?? { ...ends.master, target: ends.config.targets.get(masterTarget)! };
      const master = readMaster(ends.master.name, await list(ends.master, signal), ends.master.projectId);
      const found = await list(destination, signal);
      const { target, projectId, store } = destination;
      const listing = store.publishes ? found : withVisibilityOfMaster(found, master, projectId);
      const { entries, failure } = planRegion({ master, listing, target, projectId, compat: false });
      if (failure !== null) throw new AllianceError('internal', { details: failure });
      return entries
        .filter((entry) => name === null || entry.name === name)
        .map(({ name: image, status, reason }) => ({
          id: likest(listing, master.images.get(image))?.id ?? null,
          ...{ name: image, status },
          message: status === 'ok' ? null : reason,
        }));
    } finally {
      await ends.close();
    }
  }

  start(region: string, name: string | null): Promise<RestTask> {
    const key = fullName(region);
    const under = this.#starting.get(key);
    if (under) return under;
    const starting = this.#start(region, name).finally(() => this.#starting.delete(key));
    this.#starting.set(key, starting);
    return starting;
  }

  async task(region: string, taskId: string): Promise<RestTask | null> {
    const { executions } = this.#installation.store;
    const execution = await this.#find(region, taskId);
    if (!execution) return null;
    return toTask(execution, await executions.regions(taskId), await executions.tasks(taskId));
  }

  async forget(region: string, taskId: string): Promise<'forgotten' | 'running' | 'unknown'> {
    if (!(await this.#find(region, taskId))) return 'unknown';
    return (await this.#installation.store.executions.delete(taskId)) ? 'forgotten' : 'running';
  }

  async #find(region: string, taskId: string): Promise<Execution | null> {
    const execution = await this.#installation.store.executions.get(taskId);
    if (execution?.trigger !== trigger) return null;
    return isAbout(execution, fullName(region)) ? execution : null;
  }

  async #start(region: string, name: string | null): Promise<RestTask> {
    const { executions } = this.#installation.store;
    const running = await executions.list({ states: ['running'], trigger, limit: imageRestLimits.running });
    const same = running.find((execution) => isAbout(execution, fullName(region)));
    if (same) return { taskId: same.id, status: 'syncing', message: null };
    const ends = await this.#open(region);
    if (running.length >= imageRestLimits.running) {
      await ends.close();
      throw new AllianceError('overloaded', { details: 'Too many syncs were asked for by REST.' });
    }
    const { executionId } = await this.#runs.begin(ends, {
      trigger,
      query: { from: null, words: [region], condition: null },
      options: { ...plainOptions, only: name === null ? null : [name] },
      bwlimit: null,
    });
    return { taskId: executionId, status: 'syncing', message: null };
  }

  /** One region, and the master. @throws AllianceError region_not_found */
  async #open(region: string): Promise<ImageEnds> {
    if (expandsTarget(region)) throw new AllianceError('region_not_found', { field: 'region' });
    try {
      return await openImageEnds(this.#installation, { from: null, words: [region], condition: null });
    } catch (thrown) {
      const error = toAllianceError(thrown);
      if (error.errorName !== 'bad_request' || error.field !== 'region') throw error;
      throw new AllianceError('region_not_found', { cause: error, field: 'region', details: error.details ?? '' });
    }
  }
}

/** A sync of the master into itself has no regions. */
const isAbout = ({ regions, source }: Execution, region: string): boolean =>
  regions.length > 0 ? regions.includes(region) : source === region;

async function list({ store }: End, signal: AbortSignal): Promise<Image[]> {
  const stored = [...(await readImages(store, { signal })).values()];
  return stored.filter((image) => !isUnfinished(image)).map(toImage);
}

/** The image of the region that stands for one of the master: of several of its name one with the same content. */
function likest(listing: readonly Image[], master: Image | undefined): Image | undefined {
  const named = listing.filter((image) => image.name === master?.name && isActive(image));
  return named.find((image) => master && compareContent(image, master, false) === 'same') ?? named[0];
}

function toTask(
  { id: taskId, state, failure }: Execution,
  regions: readonly ExecutionRegion[],
  tasks: readonly ExecutionTask[],
): RestTask {
  if (state === 'running') return { taskId, status: 'syncing', message: null };
  if (state === 'done') return { taskId, status: 'synced', message: null };
  const bad = tasks.filter((task) => task.state === 'failed' || task.state === 'skipped');
  const parts = [
    ...(failure ? [failure.reason] : []),
    ...regions.flatMap((region) =>
      region.failure && region.failure.reason !== failure?.reason ? [region.failure.reason] : [],
    ),
    ...(bad.length > 0 ? [`${bad.length} of ${tasks.length} images: ${bad.slice(0, 3).map(toldOf).join(' ')}`] : []),
  ];
  return { taskId, status: 'failed', message: parts.join(' ') || `The sync has ended as ${state}.` };
}

const toldOf = ({ name, failure }: { readonly name: string; readonly failure: Failure | null }): string =>
  `${name}: ${failure?.reason ?? 'it was not tried.'}`;
