/** Whether images of a source became active or changed since they were last looked at. Pure. */
import { createHash } from 'node:crypto';
import type { Baseline } from '../../model/policy.ts';
import { compareText, type Image, isActive, isOwn } from './image.ts';

/** All that a sync would see of it, in a few characters. */
function looksOf({ name, isPublic, sizeBytes, checksum, hash, properties }: Image): string {
  const sorted = [...properties].sort(([a], [b]) => compareText(a, b));
  const seen = [name, isPublic, sizeBytes, checksum, hash?.algorithm ?? null, hash?.value ?? null, sorted];
  return createHash('sha256').update(JSON.stringify(seen)).digest('base64url');
}

export interface SourceLook {
  readonly baseline: Baseline;
  /** Names of images that became active or changed; none where there was nothing to compare with. */
  readonly changed: readonly string[];
}

/**
 * Images that are gone, or not active any more, change nothing elsewhere; one that becomes active again counts as new.
 *
 * @param before null: nobody has looked yet
 * @param most images that are remembered: of those with the smallest ids
 */
export function compareSource(
  before: Baseline | null,
  listing: readonly Image[],
  { projectId, most }: { readonly projectId: string; readonly most: number },
): SourceLook {
  const wanted = listing
    .filter((image) => isActive(image) && image.name !== '' && isOwn(image.owner, projectId))
    .sort((a, b) => compareText(a.id, b.id))
    .slice(0, most);
  const looks = wanted.map((image) => [image, looksOf(image)] as const);
  const changed = before === null ? [] : looks.filter(([{ id }, text]) => before.get(id) !== text);
  return {
    baseline: new Map(looks.map(([{ id }, text]) => [id, text])),
    changed: [...new Set(changed.map(([{ name }]) => name))].sort(compareText),
  };
}
