/** Images of a store as the planner sees them. */
import {
  type ImageStore,
  isNeverCopied,
  plainContainers,
  type StoreCall,
  type StoredImage,
} from '../../lproxy/imageStore.ts';
import { type Image, isOwn, obsoleteSuffix } from './image.ts';
import type { Master } from './master.ts';

/** What Glance calls active may hold no bytes that anybody could send, such as a snapshot of a volume, or none that somebody else could read. */
function unfitness({ sizeBytes, checksum, hash, containerFormat, properties }: StoredImage): string | undefined {
  if (properties.has('cinder_encryption_key_id')) return 'It is encrypted with a key that only its own cloud has.';
  if (containerFormat !== null && !plainContainers.has(containerFormat))
    return `What is in a container ${containerFormat} cannot be examined.`;
  if (sizeBytes === null) return 'The service does not say how large it is.';
  if (sizeBytes === 0 && checksum === null && hash === null)
    return 'It has no content, as snapshots of volumes have none.';
  return undefined;
}

export const toImage = (stored: StoredImage): Image => ({
  id: stored.id,
  name: stored.name,
  owner: stored.owner,
  status: stored.status,
  isPublic: stored.visibility === 'public',
  sizeBytes: stored.sizeBytes ?? 0,
  checksum: stored.checksum,
  ...(stored.hash && { hash: stored.hash }),
  properties: new Map([...stored.properties].filter(([key]) => !isNeverCopied(key))),
  unfit: unfitness(stored),
});

/** All images of a store by id; of one that moved from page to page while they were read, what was read last. */
export async function readImages(store: ImageStore, call: StoreCall = {}): Promise<Map<string, StoredImage>> {
  const images = new Map<string, StoredImage>();
  for await (const page of store.list(call)) for (const image of page) images.set(image.id, image);
  return images;
}

/**
 * Where images cannot be made public, their visibility is the operator's there: they count as having the master's, or each run would
 * find it different again.
 */
export function withVisibilityOfMaster(listing: readonly Image[], master: Master, projectId: string): Image[] {
  const byHash = new Map([...master.images.values()].map((image) => [image.hash?.value, image] as const));
  return listing.map((image) => {
    if (!isOwn(image.owner, projectId)) return image;
    const { name, hash } = image;
    const named = master.images.get(name) ?? master.images.get(`${name}${obsoleteSuffix}`);
    const meant = named ?? (hash && byHash.get(hash.value));
    return meant ? { ...image, isPublic: meant.isPublic } : image;
  });
}
