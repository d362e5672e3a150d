/** Bodies of the Image API v2: what is read out of answers and what is sent. Members that are not known are properties, or nothing. */
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';
import { type ImageAttributes, type ImageMember, type StoredImage, visibilities } from './imageStore.ts';

/** Ids of images and projects; anything else is none, and must not become part of a path. */
export const idForm = /^[A-Za-z0-9_-]{1,64}$/;

/** Members of the schema `image`, and those that Glance adds; all others that are strings are properties. */
const baseMembers: ReadonlySet<string> = new Set([
  'id',
  'name',
  'status',
  'visibility',
  'protected',
  'os_hidden',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'owner',
  'size',
  'virtual_size',
  'container_format',
  'disk_format',
  'created_at',
  'updated_at',
  'tags',
  'direct_url',
  'min_ram',
  'min_disk',
  'self',
  'file',
  'stores',
  'schema',
  'locations',
  'location',
  'deleted',
  'deleted_at',
]);

/** Whether a key can be a property, rather than a member of the schema or Glance's own. */
export const isPropertyKey = (key: string): boolean => !baseMembers.has(key) && !key.startsWith('os_glance_');

const time = z
  .string()
  .transform((text) => Date.parse(/T[\d:.]+$/.test(text) ? `${text}Z` : text))
  .refine(Number.isFinite);

const hex = z
  .string()
  .regex(/^[0-9a-fA-F]*$/)
  .transform((text) => text.toLowerCase());
const count = z.number().int().nonnegative();

const imageRow = z.looseObject({
  id: z.string().regex(idForm),
  name: z.string().nullish(),
  status: z.string(),
  visibility: z.enum(visibilities),
  protected: z.boolean().nullish(),
  os_hidden: z.boolean().nullish(),
  checksum: hex.nullish(),
  os_hash_algo: z.string().nullish(),
  os_hash_value: hex.nullish(),
  owner: z.string().nullish(),
  size: count.nullish(),
  container_format: z.string().nullish(),
  disk_format: z.string().nullish(),
  created_at: time.nullish(),
  updated_at: time.nullish(),
  tags: z.array(z.string()).nullish(),
  min_ram: count.nullish(),
  min_disk: count.nullish(),
});

function propertiesOf(row: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  const properties = new Map<string, string>();
  for (const [key, value] of Object.entries(row))
    if (typeof value === 'string' && isPropertyKey(key)) properties.set(key, value);
  return properties;
}

function toImage(row: z.infer<typeof imageRow>): StoredImage {
  const { os_hash_algo: algorithm, os_hash_value: value } = row;
  return {
    id: row.id,
    name: row.name ?? '',
    owner: row.owner ?? '',
    status: row.status,
    visibility: row.visibility,
    sizeBytes: row.size ?? null,
    checksum: row.checksum || null,
    hash: algorithm && value ? { algorithm: algorithm.toLowerCase(), value } : null,
    diskFormat: row.disk_format ?? null,
    containerFormat: row.container_format ?? null,
    minDiskGib: row.min_disk ?? 0,
    minRamMib: row.min_ram ?? 0,
    protected: row.protected ?? false,
    hidden: row.os_hidden ?? false,
    tags: row.tags ?? [],
    properties: propertiesOf(row),
    createdAt: row.created_at ?? null,
    updatedAt: row.updated_at ?? null,
  };
}

const image = imageRow.transform(toImage);
const page = z.object({ images: z.array(image), next: z.string().nullish() });
const memberRow = z.object({ member_id: z.string(), status: z.string() });
const members = z.object({ members: z.array(memberRow) });

function parse<T>(label: string, schema: z.ZodType<T>, text: string): T {
  const refuse = (what: string) => new AllianceError('glance_malformed', { details: `${label}: ${what}` });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refuse('the answer is not JSON.');
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const paths = result.error.issues.slice(0, 5).map((issue) => issue.path.join('.') || 'the body');
  throw refuse(`missing or of the wrong type: ${paths.join(', ')}.`);
}

/** @throws AllianceError glance_malformed, as do the others */
export const parseImage = (label: string, text: string): StoredImage => parse(label, image, text);

export const parsePage = (label: string, text: string) => parse(label, page, text);

export const parseMembers = (label: string, text: string): ImageMember[] =>
  parse(label, members, text).members.map(({ member_id: projectId, status }) => ({ projectId, status }));

/** The members of the schema that somebody may set, as they are called there. */
export function schemaMembers(attributes: Partial<Omit<ImageAttributes, 'properties'>>): Map<string, unknown> {
  const entries: [string, unknown][] = [
    ['name', attributes.name],
    ['visibility', attributes.visibility],
    ['disk_format', attributes.diskFormat],
    ['container_format', attributes.containerFormat],
    ['min_disk', attributes.minDiskGib],
    ['min_ram', attributes.minRamMib],
    ['protected', attributes.protected],
    ['os_hidden', attributes.hidden],
    ['tags', attributes.tags],
  ];
  return new Map(entries.filter(([, value]) => value !== undefined));
}

/** @throws AllianceError image_refused for a property that is named like a member of the schema */
export function assertPropertyKeys(keys: Iterable<string>): void {
  for (const key of keys)
    if (key === '' || !isPropertyKey(key))
      throw new AllianceError('image_refused', { field: 'properties', details: `"${key}" can be no property.` });
}

/** Body of `POST /v2/images`. */
export function creationBody(id: string, attributes: ImageAttributes): string {
  const { properties, ...rest } = attributes;
  assertPropertyKeys(properties.keys());
  return JSON.stringify({ ...Object.fromEntries(properties), ...Object.fromEntries(schemaMembers(rest)), id });
}
