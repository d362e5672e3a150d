/** What makes a sync stop and ask: listings and plans that are more likely a mistake than meant. Pure. */
import { syncLimits } from '../../core/limits.ts';
import type { Action } from './plan.ts';

/**
 * Whether a listing has become suspiciously short.
 *
 * @param before images of ours that the last good run saw there; null: there was none
 * @returns a sentence, or undefined
 */
export function listingAlarm(place: string, before: number | null, now: number): string | undefined {
  if (before === null || before === 0) return undefined;
  if (now === 0) return `${place} lists none of our images; at the last run there were ${before}.`;
  if (now < before * (1 - syncLimits.shrinkShare))
    return `${place} lists only ${now} of our images; at the last run there were ${before}.`;
  return undefined;
}

/**
 * Whether a plan changes images of other projects, as `only_tenant_images = False` allows.
 *
 * @param foreign ids of images of the region that are not ours
 */
export function foreignAlarm(
  region: string,
  actions: readonly Action[],
  foreign: ReadonlySet<string>,
): string | undefined {
  const touched = actions.filter((action) => foreign.has(('old' in action ? action.old?.id : action.id) ?? '')).length;
  return touched === 0 ? undefined : `In ${region} ${touched} images of other projects would be changed or replaced.`;
}

/**
 * Whether a plan replaces or puts aside more than is usual.
 *
 * @param present images of the region that stand for one of the master
 */
export function changeAlarm(region: string, actions: readonly Action[], present: number): string | undefined {
  const retiring = actions.filter((action) => 'old' in action && action.old !== null).length;
  if (retiring < syncLimits.retiredAtLeast || retiring <= present * syncLimits.retiredShare) return undefined;
  return `In ${region} ${retiring} of ${present} images would be replaced or put aside.`;
}
