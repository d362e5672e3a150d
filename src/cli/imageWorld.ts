/** What the commands of `alliance image` look at: regions with their images, those of the master, and a plan for each region. */
import PQueue from 'p-queue';
import { toAllianceError } from '../core/errors.ts';
import { imageLimits } from '../core/limits.ts';
import type { Image } from '../sync/images/image.ts';
import type { ImagesConfig } from '../sync/images/imagesConfig.ts';
import type { Master } from '../sync/images/master.ts';
import type { RegionPlan } from '../sync/images/plan.ts';
import { planRegion } from '../sync/images/planner.ts';
import type { Region } from '../sync/images/regions.ts';
import { exits } from './cli.ts';

/** What a region has. */
export interface Listing {
  /** All of them, also those of others and those that are not active; without those that a sync is sending. */
  readonly images: readonly Image[];
  /** Those that a sync was sending and has not finished. */
  readonly unfinished: readonly Image[];
  /** Id of the project that images belong to there if they are ours. */
  readonly projectId: string;
}

export interface ImageWorld {
  readonly config: ImagesConfig;
  readonly compat: boolean;
  /** Full name of the region that images come from. */
  readonly masterName: string;
  readonly master: Master;
  /** All images of that region. */
  readonly masterListing: Listing;
  /** Those that were asked for, in their order. */
  readonly regions: readonly Region[];
  /** @param name of one of the regions */
  list(name: string): Promise<Listing>;
}

export interface Planned {
  readonly region: Region;
  readonly plan: RegionPlan;
}

const unplanned = (failure: string): RegionPlan => ({ entries: [], actions: [], notices: [], failure });

export const planOf = (
  { master, compat }: Pick<ImageWorld, 'master' | 'compat'>,
  { target }: Region,
  { images, projectId }: Pick<Listing, 'images' | 'projectId'>,
): RegionPlan => planRegion({ master, listing: images, target, projectId, compat });

/** The same for each region, in their order; not all at once, for listings may be long. */
export function eachRegion<T>(names: readonly string[], work: (name: string) => Promise<T>): Promise<T[]> {
  const queue = new PQueue({ concurrency: imageLimits.listingsAtOnce });
  return Promise.all(names.map((name) => queue.add(() => work(name))));
}

/** A region that cannot be listed has a plan that says so, and the others have theirs. */
export async function planAll(world: ImageWorld): Promise<Planned[]> {
  const { regions } = world;
  const byName = new Map(regions.map((region) => [region.name, region] as const));
  return eachRegion([...byName.keys()], async (name): Promise<Planned> => {
    const region = byName.get(name)!;
    try {
      return { region, plan: planOf(world, region, await world.list(name)) };
    } catch (thrown) {
      return { region, plan: unplanned(toAllianceError(thrown).message) };
    }
  });
}

/** Whether there is nothing left that is not as it should be. */
export const isInSync = ({ failure, entries, notices }: RegionPlan): boolean =>
  failure === null &&
  entries.every(({ status }) => status.startsWith('ok')) &&
  notices.every(({ kind }) => kind !== 'condition_failed');

/** How far a set of regions came. */
export function exitFor(good: readonly boolean[]): number {
  if (good.every(Boolean)) return exits.done;
  return good.some(Boolean) ? exits.partly : exits.failed;
}

export const exitForPlans = (planned: readonly Planned[]): number =>
  exitFor(planned.map(({ plan }) => plan.failure === null));

/** The same after a sync, where a region may have come a part of the way. */
export function exitAfter(plans: readonly RegionPlan[]): number {
  if (plans.every(isInSync)) return exits.done;
  const some = plans.some(({ entries }) => entries.some(({ status }) => status.startsWith('ok')));
  return some ? exits.partly : exits.failed;
}
