/** What makes a sync stop and ask: listings and plans that are more likely a mistake than meant. Pure. */
import { syncLimits } from '../../core/limits.ts';
import { isNeverCopied, type StoredImage } from '../../lproxy/imageStore.ts';
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

export interface Present {
  /** How many images of the region stand for one of the master. */
  readonly present: number;
  /** Images of the region by id. */
  readonly listed: ReadonlyMap<string, Pick<StoredImage, 'visibility' | 'properties'>>;
}

/** Whether a plan replaces or puts aside more than is usual, or takes as many properties away, or images from the public. */
export function changeAlarm(
  region: string,
  actions: readonly Action[],
  { present, listed }: Present,
): string | undefined {
  const replaced = actions.filter((action) => 'old' in action && action.old !== null).length;
  const losing = actions.filter((action) => action.kind === 'update' && loses(action, listed.get(action.id))).length;
  const all = replaced + losing;
  if (all < syncLimits.retiredAtLeast || all <= present * syncLimits.retiredShare) return undefined;
  const loss = `, ${losing} would lose properties or be public no more`;
  return `In ${region} ${replaced} of ${present} images would be replaced or put aside${losing > 0 ? loss : ''}.`;
}

function loses({ isPublic, properties }: Action, image: ReturnType<Present['listed']['get']>): boolean {
  if (!image) return false;
  const keys = [...image.properties.keys()].filter((key) => !isNeverCopied(key));
  return (image.visibility === 'public' && !isPublic) || keys.some((key) => !properties.has(key));
}
