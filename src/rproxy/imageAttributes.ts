/** What is said of an image, as it travels. */
import { type ImageChanges, partnerMarkPrefix, type Visibility } from '../lproxy/imageStore.ts';
import { ImageAttributes, ImageVisibility } from '../wire/types.ts';

const visibilityNumbers: Readonly<Record<Visibility, ImageVisibility>> = {
  public: ImageVisibility.PUBLIC,
  community: ImageVisibility.COMMUNITY,
  shared: ImageVisibility.SHARED,
  private: ImageVisibility.PRIVATE,
};

const ownPrefix = 'alliance_';
const travelPrefix = partnerMarkPrefix.slice(0, -ownPrefix.length);

/** Our own notes on an image have another name there, where that name is kept for the notes of the broker there. */
const markThere = (key: string): string => (key.startsWith(ownPrefix) ? `${travelPrefix}${key}` : key);
export const markHere = (key: string): string =>
  key.startsWith(partnerMarkPrefix) ? key.slice(travelPrefix.length) : key;

/** Without protection, which would keep the operator there from removing the image, and which no partner gets. */
export function toWireAttributes(said: ImageChanges): ImageAttributes {
  const { name, visibility, diskFormat, containerFormat, minDiskGib, minRamMib, hidden, tags, properties } = said;
  const set = [...(properties ?? [])].flatMap(([key, value]) => (value === null ? [] : [[markThere(key), value]]));
  return new ImageAttributes({
    ...(name !== undefined && { name }),
    ...(visibility !== undefined && { visibility: visibilityNumbers[visibility] }),
    ...(diskFormat && { disk_format: diskFormat }),
    ...(containerFormat && { container_format: containerFormat }),
    ...(minDiskGib !== undefined && { min_disk: minDiskGib }),
    ...(minRamMib !== undefined && { min_ram: minRamMib }),
    ...(hidden !== undefined && { hidden }),
    ...(tags !== undefined && { tags: [...tags] }),
    ...(set.length > 0 && { properties: Object.fromEntries(set) as Record<string, string> }),
  });
}

export const removedOf = ({ properties }: ImageChanges): string[] =>
  [...(properties ?? [])].flatMap(([key, value]) => (value === null ? [markThere(key)] : []));
