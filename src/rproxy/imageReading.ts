/** Images as a partner tells of them: nothing is taken over that could not be so. */
import { AllianceError } from '../core/errors.ts';
import { partnerImageLimits, timeLimits } from '../core/limits.ts';
import { type ImageHash, isReservedProperty, type StoredImage, type Visibility } from '../lproxy/imageStore.ts';
import { type Image, ImageVisibility, type Int64, toNumber, type ImageHash as WireHash } from '../wire/types.ts';
import { markHere } from './imageAttributes.ts';

export const malformed = (field: string, details: string): AllianceError =>
  new AllianceError('wire_malformed', { field, details });

const idForm = /^[\w.:-]{1,255}$/;

/** @throws AllianceError image_not_found: what can be no id is the id of nothing */
export function checkId(id: string): string {
  if (!idForm.test(id)) throw new AllianceError('image_not_found', { field: 'id', details: 'No id of an image.' });
  return id;
}

const statuses: ReadonlySet<string> = new Set([
  'queued',
  'saving',
  'uploading',
  'importing',
  'active',
  'deactivated',
  'killed',
  'deleted',
  'pending_delete',
]);

const visibilityOf = new Map<number, Visibility>([
  [ImageVisibility.PUBLIC, 'public'],
  [ImageVisibility.COMMUNITY, 'community'],
  [ImageVisibility.SHARED, 'shared'],
  [ImageVisibility.PRIVATE, 'private'],
]);

/** Of one that belongs to nobody there: no project has this id. */
const nobody = '-';

/** Shown to people, and compared: within bounds, and nothing that moves a cursor. */
function text(value: string, field: string, { least = 1, most = partnerImageLimits.textBytes } = {}): string {
  const bytes = Buffer.byteLength(value);
  if (bytes < least || bytes > most || /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(value))
    throw malformed(field, `${field} has not ${least} to ${most} bytes, or control characters.`);
  return value;
}

function count(value: number | undefined, field: string): number {
  if (value !== undefined && value < 0) throw malformed(field, `${field} is negative.`);
  return value ?? 0;
}

function whole(value: Int64 | undefined, field: string, most: number = Number.MAX_SAFE_INTEGER): number | null {
  if (value === undefined) return null;
  const number = toNumber(value);
  if (number < 0 || number > most) throw malformed(field, `${field} is out of its bounds.`);
  return number;
}

function hashOf({ algorithm, value }: WireHash): ImageHash {
  if (!/^[a-z0-9_-]{1,64}$/.test(algorithm) || !/^[0-9a-f]+$/.test(value)) throw malformed('hash', 'It is no hash.');
  if (value.length > partnerImageLimits.hashValueBytes) throw malformed('hash', 'It is too long for a hash.');
  return { algorithm, value };
}

/** Notes of the broker there are none of ours, whatever they look like; our own have come back under the name that they have here. */
function propertiesOf(given: Readonly<Record<string, string>> = {}, ours: boolean): ReadonlyMap<string, string> {
  const entries = Object.entries(given);
  if (entries.length > partnerImageLimits.properties) throw malformed('properties', 'There are too many properties.');
  const properties = new Map<string, string>();
  for (const [key, value] of entries) {
    text(key, 'properties');
    if (Buffer.byteLength(value) > partnerImageLimits.valueBytes) throw malformed('properties', 'A value is too long.');
    if (isReservedProperty(key)) continue;
    properties.set(ours ? markHere(key) : key, value);
  }
  return properties;
}

/**
 * @param expected what the answer must be about; `ours`: an image that we made
 * @throws AllianceError wire_malformed
 */
export function readImage(image: Image, expected: { readonly id?: string; readonly ours?: boolean } = {}): StoredImage {
  const { attributes, yours } = image;
  if (!idForm.test(image.id)) throw malformed('id', 'It is no id of an image.');
  if (expected.id !== undefined && image.id !== expected.id) throw malformed('id', 'It is the id of another image.');
  if (expected.ours && !yours) throw malformed('yours', 'It is no image of ours.');
  if (!statuses.has(image.status)) throw malformed('status', 'It is no status of an image.');
  const visibility = attributes.visibility === undefined ? undefined : visibilityOf.get(attributes.visibility);
  if (visibility === undefined) throw malformed('visibility', 'It is missing.');
  const tags = attributes.tags ?? [];
  if (tags.length > partnerImageLimits.tags) throw malformed('tags', 'There are too many tags.');
  const format = (value: string | undefined, field: string) => (value === undefined ? null : text(value, field));
  const { checksum } = image;
  if (checksum !== undefined && !/^[0-9a-f]{32}$/.test(checksum)) throw malformed('checksum', 'It is no MD5.');
  return {
    id: image.id,
    name: text(attributes.name ?? '', 'name', { least: 0 }),
    visibility,
    diskFormat: format(attributes.disk_format, 'disk_format'),
    containerFormat: format(attributes.container_format, 'container_format'),
    minDiskGib: count(attributes.min_disk, 'min_disk'),
    minRamMib: count(attributes.min_ram, 'min_ram'),
    protected: attributes.is_protected ?? false,
    hidden: attributes.hidden ?? false,
    tags: tags.map((tag) => text(tag, 'tags')),
    properties: propertiesOf(attributes.properties, yours),
    owner: yours ? '' : text(image.owner, 'owner', { least: 0 }) || nobody,
    status: image.status,
    sizeBytes: whole(image.size, 'size'),
    checksum: checksum ?? null,
    hash: image.hash === undefined ? null : hashOf(image.hash),
    createdAt: whole(image.created_at, 'created_at', timeLimits.latestMs),
    updatedAt: whole(image.updated_at, 'updated_at', timeLimits.latestMs),
  };
}
