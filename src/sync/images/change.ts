/** Changes what is known of an image that is in the region: one patch, which may be repeated. */
import { AllianceError } from '../../core/errors.ts';
import { type ImageChanges, isNeverCopied, type StoredImage, type Visibility } from '../../lproxy/imageStore.ts';
import { retrying } from '../transfer/retry.ts';
import { type FinishContext, getIfThere } from './finish.ts';
import { isSameContent, proofOf } from './verify.ts';

export interface Changing {
  /** As the listing of the region had it. */
  readonly listed: StoredImage;
  readonly newName: string;
  readonly isPublic: boolean;
  /** All that it has afterwards, but for what was added since the listing. */
  readonly properties: ReadonlyMap<string, string>;
}

/** @throws AllianceError image_conflict where the image is not as it was listed; nothing is done then */
export async function changeImage(
  changing: Changing,
  { store, journal, signal }: Pick<FinishContext, 'store' | 'journal' | 'signal'>,
): Promise<void> {
  const { listed } = changing;
  const now = await getIfThere(store, listed.id, signal);
  const same =
    now !== undefined &&
    now.status === listed.status &&
    now.owner === listed.owner &&
    (now.name === listed.name || now.name === changing.newName) &&
    isSameContent(proofOf(listed), proofOf(now));
  if (!same)
    throw new AllianceError('image_conflict', { details: `The image ${listed.id} has changed since it was listed.` });
  const changes = changesOf(changing, now, store.publishes);
  if (Object.keys(changes).length === 0) return;
  await journal.hold();
  await retrying(() => store.update(listed.id, changes, { signal }), { signal });
}

/** Pure. What is there already is not changed. */
function changesOf(
  { listed, newName, isPublic, properties }: Changing,
  now: StoredImage,
  publishes: boolean,
): ImageChanges {
  const visibility = publishes ? visibilityFor(isPublic, now.visibility) : now.visibility;
  const gone = [...listed.properties.keys()].filter((key) => !properties.has(key) && now.properties.has(key));
  const set = [...properties].filter(([key, value]) => now.properties.get(key) !== value);
  const changed = new Map<string, string | null>([...gone.map((key) => [key, null] as const), ...set]);
  for (const key of changed.keys()) if (isNeverCopied(key)) changed.delete(key);
  return {
    ...(newName !== now.name && { name: newName }),
    ...(visibility !== now.visibility && { visibility }),
    ...(changed.size > 0 && { properties: changed }),
  };
}

/** What is shared or of the community is not public either, and stays what it is. */
function visibilityFor(isPublic: boolean, now: Visibility): Visibility {
  if (isPublic) return 'public';
  return now === 'public' ? 'private' : now;
}
