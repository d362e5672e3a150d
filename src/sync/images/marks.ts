/** What an image bears while it is on its way, so that whoever finds it knows what it is. */
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { ContentProof, Transfer } from '../../model/transfer.ts';

const keys = {
  transfer: 'alliance_transfer',
  origin: 'alliance_origin',
  source: 'alliance_source',
  hash: 'alliance_hash',
  step: 'alliance_step',
} as const;

export const hashText = ({ hash, checksum }: Pick<ContentProof, 'hash' | 'checksum'>): string =>
  hash ? `${hash.algorithm}:${hash.value}` : checksum === null ? 'unknown' : `md5:${checksum}`;

/** `origin`: what tells this installation from every other one. */
export const marksOf = (
  { id, sourceId, content }: Pick<Transfer, 'id' | 'sourceId' | 'content'>,
  origin: string,
): [string, string][] => [
  [keys.transfer, id],
  [keys.origin, origin],
  [keys.source, sourceId],
  [keys.hash, hashText(content)],
];

/**
 * Set before anything is done to the image that it replaces: a journal that is behind, as a restored or copied one is, must not take back
 * what may be the only one left.
 */
export const passedMark: ReadonlyMap<string, string> = new Map([[keys.step, 'publish']]);
export const hasPassed = ({ properties }: StoredImage): boolean => properties.has(keys.step);

/** Properties to be taken away. */
export const withoutMarks: ReadonlyMap<string, null> = new Map(Object.values(keys).map((key) => [key, null]));

/** An image that lacks the mark was finished, or is meant to be somebody else's now. */
export const isMarked = (image: StoredImage, { id }: Pick<Transfer, 'id'>): boolean =>
  image.properties.get(keys.transfer) === id;

/** Id of the transfer that an image of this origin is marked by; null: of none. */
export const transferOf = ({ properties }: StoredImage, origin: string): string | null =>
  properties.get(keys.origin) === origin ? (properties.get(keys.transfer) ?? null) : null;

/** Whether an image is one that a sync of any installation was sending and has not finished. */
export const isUnfinished = (image: StoredImage): boolean => image.properties.has(keys.transfer);
