/** Images that a region has and the master has not. */
import { compareText, type Image, isOwn } from './image.ts';

export interface Orphan {
  readonly image: Image;
  /** A sync was sending it and has not finished; the next one takes care of it. */
  readonly unfinished: boolean;
}

export interface OrphanQuestion {
  /** All images of the master's region. */
  readonly master: readonly Image[];
  readonly listing: readonly Image[];
  readonly unfinished: readonly Image[];
  readonly projectId: string;
}

const contentsOf = ({ hash, checksum }: Image): string[] => [
  ...(hash ? [`${hash.algorithm} ${hash.value}`] : []),
  ...(checksum === null ? [] : [`md5 ${checksum}`]),
];

/** Of our own project, neither by name nor by content in the master; unfinished ones whatever they are. Ordered by name. */
export function findOrphans({ master, listing, unfinished, projectId }: OrphanQuestion): Orphan[] {
  const names = new Set(master.map(({ name }) => name));
  const contents = new Set(master.flatMap(contentsOf));
  const alone = listing.filter(
    (image) =>
      isOwn(image.owner, projectId) &&
      !names.has(image.name) &&
      !contentsOf(image).some((content) => contents.has(content)),
  );
  return [
    ...alone.map((image) => ({ image, unfinished: false })),
    ...unfinished.map((image) => ({ image, unfinished: true })),
  ].sort((a, b) => compareText(a.image.name, b.image.name) || compareText(a.image.id, b.image.id));
}
