/** Kernels and ramdisks come before what needs them; within that, smallest first, then by name. */
import { bySizeAndName } from './image.ts';
import type { MasterImage } from './master.ts';

export interface Ordered {
  readonly images: readonly MasterImage[];
  /** Names of images on a circle of needs: without them the rest has an order. */
  readonly circular: ReadonlySet<string>;
}

/** An image whose needs are looked at, below the one that needs it (Tarjan's search for circles). */
interface Step {
  readonly image: MasterImage;
  readonly needs: string[];
  readonly place: number;
  /** Place of the first image that leads here and that this one leads back to. */
  back: number;
}

/** Instead of a place: no circle leads through it and what is looked at. */
const closed = -1;

/** Of these images, each of a name of its own; needs that are not among them count as met. */
export function inOrderOfDependency(wanted: readonly MasterImage[]): Ordered {
  const byName = new Map(wanted.map((image) => [image.name, image]));
  const images: MasterImage[] = [];
  const circular = new Set<string>();
  const places = new Map<string, number>();
  // By hand instead of by recursion, since chains are as long as whoever made the images likes.
  const path: Step[] = [];
  const open: Step[] = [];
  const enter = (image: MasterImage): void => {
    const place = places.size;
    places.set(image.name, place);
    const step = { image, needs: [...image.links.values()], place, back: place };
    path.push(step);
    open.push(step);
  };
  const leave = (step: Step): void => {
    path.pop();
    images.push(step.image);
    const above = path.at(-1);
    if (above) above.back = Math.min(above.back, step.back);
    if (step.back === step.place) closeFrom(step);
  };
  const closeFrom = (first: Step): void => {
    const isCircle = open.at(-1) !== first || [...first.image.links.values()].includes(first.image.name);
    for (let last: Step | undefined; last !== first; ) {
      last = open.pop()!;
      places.set(last.image.name, closed);
      if (isCircle) circular.add(last.image.name);
    }
  };
  for (const root of [...wanted].sort(bySizeAndName)) {
    if (!places.has(root.name)) enter(root);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const need = top.needs.shift();
      const next = byName.get(need ?? '');
      const place = next && places.get(next.name);
      if (need === undefined) leave(top);
      else if (next && place === undefined) enter(next);
      else if (place !== undefined && place !== closed) top.back = Math.min(top.back, place);
    }
  }
  return { images, circular };
}
