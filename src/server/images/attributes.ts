/** What a partner says of an image that it makes or changes: read for its form, then held against what this cloud lets it say. */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import {
  type ImageAttributes,
  type ImageChanges,
  isNeverCopied,
  plainContainers,
  type Visibility,
} from '../../lproxy/imageStore.ts';
import { ImageVisibility, type ImageAttributes as WireAttributes } from '../../wire/types.ts';
import { type ImageRules, matchesAny } from './access.ts';
import { isPartnerMark } from './marks.ts';

/** Only what was said. */
export type SaidAttributes = Partial<ImageAttributes>;

const bad = (field: string, details: string): AllianceError => new AllianceError('bad_request', { field, details });
const refuse = (field: string, details: string): AllianceError =>
  new AllianceError('image_refused', { field, details });

const visibilityOf = new Map<number, Visibility>([
  [ImageVisibility.PUBLIC, 'public'],
  [ImageVisibility.COMMUNITY, 'community'],
  [ImageVisibility.SHARED, 'shared'],
  [ImageVisibility.PRIVATE, 'private'],
]);

function checkText(text: string, field: string, maxBytes: number = partnerImageLimits.textBytes): string {
  const bytes = Buffer.byteLength(text);
  if (bytes < 1 || bytes > maxBytes || /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(text))
    throw bad(field, `${field} must have 1 to ${maxBytes} bytes, without control characters.`);
  return text;
}

function checkTags(tags: readonly string[]): readonly string[] {
  if (tags.length > partnerImageLimits.tags) throw bad('tags', `There may be ${partnerImageLimits.tags} tags.`);
  return [...new Set(tags.map((tag) => checkText(tag, 'tags')))];
}

function checkProperties(given: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const { properties: most, valueBytes } = partnerImageLimits;
  const entries = Object.entries(given);
  if (entries.length > most) throw bad('properties', `There may be ${most} properties.`);
  for (const [key, value] of entries) {
    checkText(key, 'properties');
    if (Buffer.byteLength(value) > valueBytes || value.includes('\0'))
      throw bad('properties', `A value must have at most ${valueBytes} bytes, and no NUL.`);
  }
  return new Map(entries);
}

function checkCount(count: number, field: string): number {
  if (count < 0) throw bad(field, `${field} must not be negative.`);
  return count;
}

/** @throws AllianceError bad_request */
export function readAttributes(from: WireAttributes): SaidAttributes {
  const { name, visibility, disk_format: diskFormat, container_format: containerFormat, min_disk, min_ram } = from;
  const said = visibility === undefined ? undefined : visibilityOf.get(visibility);
  return {
    ...(name !== undefined && { name: checkText(name, 'name') }),
    ...(said !== undefined && { visibility: said }),
    ...(diskFormat !== undefined && { diskFormat: checkText(diskFormat, 'disk_format') }),
    ...(containerFormat !== undefined && { containerFormat: checkText(containerFormat, 'container_format') }),
    ...(min_disk !== undefined && { minDiskGib: checkCount(min_disk, 'min_disk') }),
    ...(min_ram !== undefined && { minRamMib: checkCount(min_ram, 'min_ram') }),
    ...(from.is_protected !== undefined && { protected: from.is_protected }),
    ...(from.hidden !== undefined && { hidden: from.hidden }),
    ...(from.tags !== undefined && { tags: checkTags(from.tags) }),
    ...(from.properties !== undefined && { properties: checkProperties(from.properties) }),
  };
}

/** @throws AllianceError bad_request */
export function readRemoved(names: readonly string[] = []): readonly string[] {
  const { properties: most } = partnerImageLimits;
  if (names.length > most) throw bad('removed_properties', `At most ${most} properties are removed at once.`);
  return names.map((name) => checkText(name, 'removed_properties'));
}

const width: readonly Visibility[] = ['private', 'shared', 'community', 'public'];

/** Members of Glance's own schema: beside them, a property of the same name would be them. */
const schemaNames: ReadonlySet<string> = new Set(
  `id name owner visibility is_public status size virtual_size checksum os_hash_algo os_hash_value os_hidden protected min_disk min_ram
   disk_format container_format created_at updated_at deleted deleted_at tags members self file schema locations direct_url stores`.split(
    /\s+/,
  ),
);

function assertProperty(rules: ImageRules, key: string): void {
  if (isPartnerMark(key)) return;
  const plain = key.toLowerCase();
  if (schemaNames.has(plain) || isNeverCopied(plain)) throw refuse('properties', `${key} is not for partners to set.`);
  if (!matchesAny(rules.properties, key)) throw refuse('properties', `${key} is not among images.properties.`);
}

/**
 * What the operator lets the partner say.
 *
 * @throws AllianceError image_refused; nothing is narrowed in silence, so that what is stored is what was asked for
 */
export function assertAllowed(rules: ImageRules, said: SaidAttributes, removed: readonly string[] = []): void {
  const { visibility, containerFormat, properties } = said;
  if (visibility !== undefined && width.indexOf(visibility) > width.indexOf(rules.writeVisibility))
    throw refuse('visibility', `At most ${rules.writeVisibility} is allowed.`);
  // Only the operator could take it off again, who would have to, to get rid of the image.
  if (said.protected === true) throw refuse('is_protected', "Partners' images are never protected.");
  if (containerFormat && !plainContainers.has(containerFormat))
    throw refuse('container_format', `A content in ${containerFormat} cannot be examined.`);
  for (const key of [...(properties?.keys() ?? []), ...removed]) assertProperty(rules, key);
}

/** Properties that name other images, which are used with this one: ids that must be of images of the same partner. */
export const linksOf = ({ properties = new Map() }: SaidAttributes): readonly string[] =>
  [...properties].flatMap(([key, value]) => (/^(kernel_id|ramdisk_id)$/i.test(key) ? [value] : []));

/** Everybody who lists this cloud's images gets them. @throws AllianceError bad_request */
function assertRoom(properties: ReadonlyMap<string, string>): void {
  const { ownProperties: most, ownPropertiesBytes: mostBytes } = partnerImageLimits;
  if (properties.size > most) throw bad('properties', `An image may have ${most} properties.`);
  if (Buffer.byteLength(JSON.stringify([...properties])) > mostBytes)
    throw bad('properties', `The properties of an image may have ${mostBytes} bytes, as JSON.`);
}

/** @throws AllianceError bad_request where there is no name, or no format, or too much of properties */
export function newAttributes(said: SaidAttributes): ImageAttributes {
  const { name, diskFormat, containerFormat, properties = new Map<string, string>() } = said;
  assertRoom(properties);
  if (name === undefined) throw bad('name', 'A new image needs a name.');
  if (!diskFormat) throw bad('disk_format', 'A new image needs a disk_format: its content is held against it.');
  return {
    visibility: 'private',
    minDiskGib: 0,
    minRamMib: 0,
    protected: false,
    hidden: false,
    tags: [],
    properties: new Map(),
    ...said,
    name,
    diskFormat,
    containerFormat: containerFormat ?? 'bare',
  };
}

/**
 * @throws AllianceError image_refused for another format: what the content was held against must stay; bad_request where there would be too
 * much of properties
 */
export function changesOf(
  { diskFormat, containerFormat, ...said }: SaidAttributes,
  removed: readonly string[],
  present: Pick<ImageAttributes, 'diskFormat' | 'containerFormat' | 'properties'>,
): ImageChanges {
  if ((diskFormat ?? present.diskFormat) !== present.diskFormat)
    throw refuse('disk_format', 'The format of an image stays.');
  if ((containerFormat ?? present.containerFormat) !== present.containerFormat)
    throw refuse('container_format', 'The format of an image stays.');
  const { properties, ...rest } = said;
  if (!properties && removed.length === 0) return rest;
  const all = new Map([...present.properties].filter(([key]) => !isNeverCopied(key)));
  for (const key of removed) all.delete(key);
  for (const [key, value] of properties ?? []) all.set(key, value);
  // Less of too much is welcome.
  if (properties && properties.size > 0) assertRoom(all);
  return { ...rest, properties: new Map([...removed.map((key) => [key, null] as const), ...(properties ?? [])]) };
}
