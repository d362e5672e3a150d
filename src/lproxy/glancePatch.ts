/** What turns an image into what it should be, as a JSON patch (RFC 6902) of Glance's kind. Pure. */
import { assertPropertyKeys, schemaMembers } from './glanceBodies.ts';
import type { ImageChanges, StoredImage } from './imageStore.ts';

export const patchType = 'application/openstack-images-v2.1-json-patch';

export interface PatchOperation {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

/** A JSON pointer (RFC 6901) to a member. */
const pointer = (key: string): string => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

const sameTags = (a: unknown, b: readonly string[]): boolean => {
  const wanted = new Set(a as readonly string[]);
  return wanted.size === new Set(b).size && b.every((tag) => wanted.has(tag));
};

/** Only what differs; none where the image is like that already. */
export function patchOf(image: StoredImage, changes: ImageChanges): PatchOperation[] {
  const { properties = new Map<string, string | null>(), ...rest } = changes;
  assertPropertyKeys(properties.keys());
  const present = schemaMembers(image);
  const operations: PatchOperation[] = [];
  for (const [key, value] of schemaMembers(rest)) {
    const same = key === 'tags' ? sameTags(value, image.tags) : value === present.get(key);
    if (!same) operations.push({ op: 'replace', path: pointer(key), value });
  }
  for (const [key, value] of properties) {
    const known = image.properties.get(key);
    if (value === null) {
      if (known !== undefined) operations.push({ op: 'remove', path: pointer(key) });
    } else if (value !== known)
      operations.push({ op: known === undefined ? 'add' : 'replace', path: pointer(key), value });
  }
  return operations;
}
