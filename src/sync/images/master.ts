/** The master's images: those that can be synchronised at all, each under a name that is its own. */
import { compareText, type Image, isActive, isOwn, type LinkKey, linkKeys, type Properties } from './image.ts';
import { linkLabel, type Notice } from './plan.ts';

export interface MasterImage extends Image {
  /** Names of the images that it needs; its properties have them, too. */
  readonly links: ReadonlyMap<LinkKey, string>;
  /** Links that lead to no image of this snapshot. */
  readonly broken: readonly LinkKey[];
}

export interface Master {
  readonly region: string;
  readonly images: ReadonlyMap<string, MasterImage>;
  readonly notices: readonly Notice[];
}

export function readMaster(region: string, listing: readonly Image[], projectId: string): Master {
  const images = new Map<string, MasterImage>();
  const duplicates = new Set<string>();
  const unfit: Notice[] = [];
  const linked: Image[] = [];
  const needed = new Set<string>();
  for (const image of listing) {
    const { name, properties } = image;
    if (!isActive(image) || name === '' || !isOwn(image.owner, projectId)) continue;
    if (image.unfit !== undefined) {
      unfit.push({ kind: 'unfit', name, details: image.unfit });
      continue;
    }
    if (images.has(name)) duplicates.add(name);
    images.set(name, masterImage(image, properties, noLinks, noneBroken));
    if (!linkKeys.some((key) => properties.has(key))) continue;
    linked.push(image);
    for (const key of linkKeys) needed.add(String(properties.get(key)));
  }
  for (const name of duplicates) images.delete(name);
  const nameById = new Map<string, string>();
  if (needed.size > 0) for (const { id, name } of images.values()) if (needed.has(id)) nameById.set(id, name);
  for (const image of linked) if (images.has(image.name)) images.set(image.name, withLinks(image, nameById));
  const notices = [...duplicates].sort().map((name): Notice => {
    return { kind: 'duplicate', name, details: `There are several images of this name in ${region}; none is used.` };
  });
  return { region, images, notices: [...notices, ...unfit.sort((a, b) => compareText(a.name, b.name))] };
}

const noLinks: ReadonlyMap<LinkKey, string> = new Map();
const noneBroken: readonly LinkKey[] = [];

/** Member by member: spread, it took four times as long, and made all that comes after it slower. */
function masterImage(
  { id, name, owner, status, isPublic, sizeBytes, checksum, hash }: Image,
  properties: Properties,
  links: ReadonlyMap<LinkKey, string>,
  broken: readonly LinkKey[],
): MasterImage {
  return { id, name, owner, status, isPublic, sizeBytes, checksum, hash, properties, links, broken };
}

function withLinks(image: Image, nameById: ReadonlyMap<string, string>): MasterImage {
  const properties = new Map(image.properties);
  const links = new Map<LinkKey, string>();
  const broken: LinkKey[] = [];
  for (const key of linkKeys) {
    const id = properties.get(key);
    properties.delete(key);
    if (!id) continue;
    const name = nameById.get(String(id));
    if (name === undefined) broken.push(key);
    else {
      links.set(key, name);
      properties.set(key, name);
    }
  }
  return masterImage(image, properties, links, broken);
}

export const brokenLinks = ({ broken }: MasterImage): string =>
  `Its ${broken.map(linkLabel).join(' and ')} is no image that the master could give.`;
