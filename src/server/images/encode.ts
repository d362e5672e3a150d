/** Images as partners are told of them. */
import { partnerImageLimits } from '../../core/limits.ts';
import { isReservedProperty, type StoredImage, type Visibility } from '../../lproxy/imageStore.ts';
import { Image, ImageAttributes, ImageHash, ImageVisibility, toInt64 } from '../../wire/types.ts';
import { isPlain } from './access.ts';
import { isPartnerMark } from './marks.ts';

/** An image as one partner sees it. */
export interface SeenImage {
  readonly image: StoredImage;
  /** Whether that partner made it. */
  readonly yours: boolean;
}

const visibilityNumbers: Readonly<Record<Visibility, ImageVisibility>> = {
  public: ImageVisibility.PUBLIC,
  community: ImageVisibility.COMMUNITY,
  shared: ImageVisibility.SHARED,
  private: ImageVisibility.PRIVATE,
};

/** Without our own ones, and without those that the contract has no room for. What a partner notes on its image is its own, too. */
function told({ properties }: StoredImage, yours: boolean): [string, string][] {
  const { valueBytes, properties: most } = partnerImageLimits;
  return [...properties]
    .filter(([key]) => key !== '' && !isReservedProperty(key) && isPlain(key))
    .filter(([key]) => yours || !isPartnerMark(key))
    .filter(([, value]) => Buffer.byteLength(value) <= valueBytes)
    .slice(0, most);
}

export function toWireImage({ image, yours }: SeenImage): Image {
  const { id, owner, status, sizeBytes, checksum, hash, createdAt, updatedAt } = image;
  const attributes = new ImageAttributes({
    name: image.name,
    visibility: visibilityNumbers[image.visibility],
    ...(image.diskFormat !== null && { disk_format: image.diskFormat }),
    ...(image.containerFormat !== null && { container_format: image.containerFormat }),
    min_disk: image.minDiskGib,
    min_ram: image.minRamMib,
    is_protected: image.protected,
    hidden: image.hidden,
    tags: image.tags.filter((tag) => tag !== '' && isPlain(tag)).slice(0, partnerImageLimits.tags),
    properties: Object.fromEntries(told(image, yours)),
  });
  return new Image({
    id,
    attributes,
    owner,
    status,
    yours,
    ...(sizeBytes !== null && { size: toInt64(sizeBytes) }),
    ...(checksum !== null && { checksum }),
    ...(hash !== null && { hash: new ImageHash({ ...hash }) }),
    ...(createdAt !== null && { created_at: toInt64(createdAt) }),
    ...(updatedAt !== null && { updated_at: toInt64(updatedAt) }),
  });
}

/** About what an image takes of an answer, at most. */
export function wireBytes(image: StoredImage): number {
  const { name, tags } = image;
  let bytes = 1024 + Buffer.byteLength(name);
  for (const tag of tags) bytes += Buffer.byteLength(tag) + 4;
  for (const [key, value] of told(image, true)) bytes += Buffer.byteLength(key) + Buffer.byteLength(value) + 8;
  return bytes;
}
