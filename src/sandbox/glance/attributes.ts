/** What clients say of an image, checked as the schema `image` does. */
import { visibilities } from '../../lproxy/imageStore.ts';
import { badRequest, forbidden } from './errors.ts';
import type { Described, Visibility } from './image.ts';

export type Json = Readonly<Record<string, unknown>>;

export const uuidForm = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;

const diskFormats = ['ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop'];
const containerFormats = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed'];

const readOnly = new Set([
  'created_at',
  'updated_at',
  'status',
  'checksum',
  'size',
  'virtual_size',
  'direct_url',
  'self',
  'file',
  'schema',
  'id',
  'os_hash_algo',
  'os_hash_value',
]);
const reserved = ['location', 'locations', 'deleted', 'deleted_at'];

const invalid = (key: string, value: unknown): Error =>
  badRequest(`Provided object does not match schema 'image': ${JSON.stringify(value)} is not valid. Property: ${key}`);

const isText = (value: unknown, longest = 255): value is string =>
  typeof value === 'string' && [...value].length <= longest;

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

type Setter = (image: Described, value: unknown, key: string) => void;

function setter<K extends keyof Described>(field: K, accepts: (value: unknown) => value is Described[K]): Setter {
  return (image, value, key) => {
    if (!accepts(value)) throw invalid(key, value);
    image[field] = value;
  };
}

const oneOf =
  <T extends string>(choices: readonly T[]) =>
  (value: unknown): value is T =>
    choices.includes(value as T);
const orNull =
  <T>(accepts: (value: unknown) => value is T) =>
  (value: unknown): value is T | null =>
    value === null || accepts(value);
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isName = (value: unknown): value is string => isText(value);
const isTags = (value: unknown): value is string[] => Array.isArray(value) && value.every((tag) => isText(tag));

const setTags: Setter = (image, value, key) => {
  if (!isTags(value)) throw invalid(key, value);
  image.tags = [...new Set(value)];
};

/** How each member of the schema that clients may set is set. */
export const setters: ReadonlyMap<string, Setter> = new Map([
  ['name', setter('name', orNull(isName))],
  ['visibility', setter('visibility', oneOf<Visibility>(visibilities))],
  ['disk_format', setter('diskFormat', orNull(oneOf(diskFormats)))],
  ['container_format', setter('containerFormat', orNull(oneOf(containerFormats)))],
  ['min_disk', setter('minDisk', isCount)],
  ['min_ram', setter('minRam', isCount)],
  ['protected', setter('protected', isBoolean)],
  ['os_hidden', setter('hidden', isBoolean)],
  ['owner', setter('owner', orNull(isName))],
  ['tags', setTags],
]);

const kernelKeys = new Set(['kernel_id', 'ramdisk_id']);

/** @throws GlanceError where a client may not set this property, or not to this */
export function checkProperty(key: string, value: unknown): string | null {
  if (kernelKeys.has(key) && value === null) return null;
  if (typeof value !== 'string' || (kernelKeys.has(key) && !uuidForm.test(value))) throw invalid(key, value);
  return value;
}

/** @throws GlanceError 403 for what only Glance sets */
export function assertWritable(key: string): void {
  if (readOnly.has(key)) throw forbidden(`Attribute '${key}' is read-only.`);
  if (reserved.includes(key) || key.startsWith('os_glance')) throw forbidden(`Attribute '${key}' is reserved.`);
}

/** The members of a body that makes an image; `id`, if any, apart. */
export function readCreation(body: Json): {
  id: string | null;
  described: Described;
  properties: Map<string, string | null>;
} {
  const described: Described = {
    name: null,
    visibility: 'shared',
    diskFormat: null,
    containerFormat: null,
    minDisk: 0,
    minRam: 0,
    protected: false,
    hidden: false,
    owner: null,
    tags: [],
  };
  const properties = new Map<string, string | null>();
  for (const [key, value] of Object.entries(body)) {
    const set = setters.get(key);
    if (set) set(described, value, key);
    else if (key !== 'id') {
      if (key === 'stores') throw forbidden(`Attribute '${key}' is read-only.`);
      assertWritable(key);
      if (key.length > 255) throw badRequest('Custom property should not be greater than 255 characters.');
      properties.set(key, checkProperty(key, value));
    }
  }
  const { id = null } = body;
  if (id !== null && !(typeof id === 'string' && uuidForm.test(id))) throw invalid('id', id);
  return { id: id as string | null, described, properties };
}
