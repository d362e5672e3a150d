/** Which properties an image of a region should have, and what differs. */
import {
  compareText,
  type Image,
  isLinkKey,
  type LinkKey,
  linkKeys,
  type Properties,
  type PropertyValue,
} from './image.ts';
import type { MasterImage } from './master.ts';
import type { Difference, IdOf, PlannedProperties } from './plan.ts';

export type ResolveLink = (name: string, key: LinkKey) => PropertyValue | IdOf | undefined;

/** Null and absent are the same. */
const valueAt = (properties: Properties, key: string): PropertyValue => properties.get(key) ?? null;

/** Visibility and properties, without links. */
export function differencesOf(master: MasterImage, image: Image, metadataSet: ReadonlySet<string>): Difference[] {
  const differences: Difference[] = [];
  const compare = (field: string): void => {
    const ours = valueAt(master.properties, field);
    const theirs = valueAt(image.properties, field);
    if (ours !== theirs && !isLinkKey(field)) differences.push({ field, master: ours, region: theirs });
  };
  if (metadataSet.size > 0) for (const key of metadataSet) compare(key);
  else {
    for (const key of master.properties.keys()) compare(key);
    for (const key of image.properties.keys()) if (!master.properties.has(key)) compare(key);
  }
  differences.sort((a, b) => compareText(a.field, b.field));
  if (master.isPublic === image.isPublic) return differences;
  return [{ field: 'is_public', master: master.isPublic, region: image.isPublic }, ...differences];
}

/** With no set of properties the original compares how many there are, links among them, and then only those of the region. */
export function isEqualInCompat(master: MasterImage, image: Image, metadataSet: ReadonlySet<string>): boolean {
  if (master.isPublic !== image.isPublic) return false;
  if (metadataSet.size > 0)
    return (
      differencesOf(master, image, metadataSet).length === 0 &&
      linkKeys.every((key) => master.properties.has(key) === image.properties.has(key))
    );
  const { properties } = image;
  return (
    properties.size === master.properties.size &&
    [...properties].every(([key, value]) => isLinkKey(key) || valueAt(master.properties, key) === value)
  );
}

/** Links as they are here; a link that leads nowhere yet is left out. */
function linksOf(master: MasterImage, resolve: ResolveLink): [string, PropertyValue | IdOf][] {
  return [...master.links].flatMap(([key, name]) => {
    const value = resolve(name, key);
    return value === undefined ? [] : [[key, value]];
  });
}

/** Of an image that is sent. */
export function propertiesToSend(
  master: MasterImage,
  metadataSet: ReadonlySet<string>,
  resolve: ResolveLink,
): PlannedProperties {
  const own = [...master.properties].filter(
    ([key]) => !isLinkKey(key) && (metadataSet.size === 0 || metadataSet.has(key)),
  );
  return new Map([...own, ...linksOf(master, resolve)]);
}

/** Of one that is there; with no set of properties it gets those of the master and loses all others, which `compat` leaves alone. */
export function propertiesToSet(
  master: MasterImage,
  image: Image,
  { metadataSet, compat, resolve }: { metadataSet: ReadonlySet<string>; compat: boolean; resolve: ResolveLink },
): PlannedProperties {
  if (metadataSet.size === 0 && !compat) return propertiesToSend(master, metadataSet, resolve);
  const properties = new Map<string, PropertyValue | IdOf>(image.properties);
  for (const key of [...metadataSet, ...linkKeys]) {
    const value = master.properties.get(key);
    if (value === undefined || isLinkKey(key)) properties.delete(key);
    else properties.set(key, value);
  }
  for (const [key, value] of linksOf(master, resolve)) properties.set(key, value);
  return properties;
}
