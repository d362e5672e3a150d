/** The master's images: those that can be synchronised at all, each under a name that is its own. */
import { type Image, isActive, isOwn, type LinkKey, linkKeys } from './image.ts';
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
  const kept = new Map<string, Image>();
  const duplicates = new Set<string>();
  for (const image of listing) {
    if (!isActive(image) || image.name === '' || !isOwn(image.owner, projectId)) continue;
    if (kept.has(image.name)) duplicates.add(image.name);
    kept.set(image.name, image);
  }
  for (const name of duplicates) kept.delete(name);
  const nameById = new Map([...kept.values()].map(({ id, name }) => [id, name] as const));
  const images = new Map([...kept].map(([name, image]) => [name, withLinks(image, nameById)] as const));
  const notices = [...duplicates].sort().map((name): Notice => {
    return { kind: 'duplicate', name, details: `There are several images of this name in ${region}; none is used.` };
  });
  return { region, images, notices };
}

const noLinks: ReadonlyMap<LinkKey, string> = new Map();

function withLinks(image: Image, nameById: ReadonlyMap<string, string>): MasterImage {
  // Few images have links, and a copy of the properties of all others would be half of what reading a master costs.
  if (!linkKeys.some((key) => image.properties.has(key))) return { ...image, links: noLinks, broken: [] };
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
  return { ...image, properties, links, broken };
}

export const brokenLinks = ({ broken }: MasterImage): string =>
  `Its ${broken.map(linkLabel).join(' and ')} is no image that the master could give.`;
