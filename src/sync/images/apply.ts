/** The listing of a region after a plan, without any service: what scenarios are rewritten by, and what plans are tested with. */
import type { Image, PropertyValue } from './image.ts';
import type { Master } from './master.ts';
import type { Action, PlannedProperties, Upload } from './plan.ts';

export interface ApplyQuestion {
  readonly master: Master;
  readonly listing: readonly Image[];
  readonly actions: readonly Action[];
  /** Whom new images belong to. */
  readonly owner: string;
}

/** New images come last, and have the first free id of the form `<n>$<name>`. */
export function applyPlan({ master, listing, actions, owner }: ApplyQuestion): Image[] {
  const images = new Map(listing.map((image) => [image.id, image] as const));
  const sent = new Map<string, string>();
  for (const action of actions) {
    const properties = resolved(action.properties, sent);
    const { isPublic, name } = action;
    if ('newName' in action) {
      const image = images.get(action.id);
      if (image) images.set(action.id, { ...image, name: action.newName, isPublic, properties });
      continue;
    }
    const source = master.images.get(name);
    if (!source) continue;
    const id = freeId(name, images);
    const { status, sizeBytes, checksum, hash } = source;
    const content = { sizeBytes, checksum, ...(hash && { hash }) };
    images.set(id, { id, name, owner, status, isPublic, properties, ...content });
    sent.set(name, id);
    retire(images, action);
  }
  return [...images.values()];
}

function retire(images: Map<string, Image>, { old }: Upload): void {
  const image = old && images.get(old.id);
  if (!image) return;
  if (old.newName === null) images.delete(old.id);
  else images.set(old.id, { ...image, name: old.newName, isPublic: false });
}

function freeId(name: string, images: ReadonlyMap<string, Image>): string {
  let n = 1;
  while (images.has(`${n}$${name}`)) n += 1;
  return `${n}$${name}`;
}

function resolved(properties: PlannedProperties, sent: ReadonlyMap<string, string>): Map<string, PropertyValue> {
  const known = new Map<string, PropertyValue>();
  for (const [key, value] of properties) {
    const id = typeof value === 'object' && value !== null ? sent.get(value.idOf) : value;
    if (id !== undefined) known.set(key, id);
  }
  return known;
}
