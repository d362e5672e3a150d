/** One image of a region, as the planner sees it: no service, no file, no session. */

/** What Python's literals and Glance's properties can be; Glance itself has texts only. */
export type PropertyValue = string | number | boolean | null;
/** A Map, since the keys are what somebody else wrote. */
export type Properties = ReadonlyMap<string, PropertyValue>;

export interface Image {
  readonly id: string;
  readonly name: string;
  /** Id of a project; empty counts as our own. */
  readonly owner: string;
  readonly status: string;
  readonly isPublic: boolean;
  readonly sizeBytes: number;
  /** MD5 of the content; null where it is not known. */
  readonly checksum: string | null;
  /** `os_hash_value`, of the algorithm that stands beside it; absent where it is not known. */
  readonly hash?: { readonly algorithm: string; readonly value: string } | undefined;
  readonly properties: Properties;
  /** Why its content cannot be sent, as a sentence; absent: it can. */
  readonly unfit?: string | undefined;
}

/** The properties of an AMI that name other images. */
export const linkKeys = ['kernel_id', 'ramdisk_id'] as const;
export type LinkKey = (typeof linkKeys)[number];
export const isLinkKey = (key: string): key is LinkKey => (linkKeys as readonly string[]).includes(key);

const ownerIdCharacters = 32;
const padded = (id: string): string => id.padStart(ownerIdCharacters, '0');

/** Nova's old ids came without leading zeros, and images of nobody are everybody's. */
export const isOwn = (owner: string, projectId: string): boolean =>
  owner === '' || owner === projectId || padded(owner) === padded(projectId);

export const isActive = (image: Image): boolean => image.status === 'active';

export const obsoleteSuffix = '_obsolete';
export const isObsoleteName = (name: string): boolean => name.endsWith(obsoleteSuffix);

/** As many as Glance takes in a name. */
const nameCharacters = 255;

/** `NAME.SUFFIX`, with so much less of the name as there is no room for. */
export function asideName(name: string, suffix: string): string {
  const room = nameCharacters - suffix.length - 1;
  return `${[...name].slice(0, room).join('')}.${suffix}`;
}

/** Texts in one order on every machine. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Smallest first, which is also the order of reports. */
export const bySizeAndName = (a: Image, b: Image): number => a.sizeBytes - b.sizeBytes || compareText(a.name, b.name);

export type Sameness = 'same' | 'different' | 'unknown';

/**
 * Whether two images have the same bytes. What is not known is not equal; `compat` compares MD5 as the original did, for which two
 * unknown ones were equal.
 */
export function compareContent(a: Image, b: Image, compat: boolean): Sameness {
  const told = (same: boolean): Sameness => (same ? 'same' : 'different');
  if (compat) return told(a.checksum === b.checksum);
  if (a.hash && b.hash && a.hash.algorithm === b.hash.algorithm) return told(a.hash.value === b.hash.value);
  if (a.checksum !== null && b.checksum !== null) return told(a.checksum === b.checksum);
  return a.sizeBytes === b.sizeBytes ? 'unknown' : 'different';
}
