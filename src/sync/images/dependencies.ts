/** Kernels and ramdisks come before what needs them; within that, smallest first, then by name. */
import { bySizeAndName } from './image.ts';
import type { MasterImage } from './master.ts';

export interface Ordered {
  readonly images: readonly MasterImage[];
  /** Names of images on a circle of needs: without them the rest has an order. */
  readonly circular: ReadonlySet<string>;
}

/** An image whose needs are looked at, below the one that needs it. */
interface Step {
  readonly image: MasterImage;
  readonly needs: string[];
  /** Depth of the highest image above that this one, or one that it needs, needs itself. */
  circleFrom: number;
}

/** Instead of a depth. */
const done = -1;

export function inOrderOfDependency(wanted: ReadonlyMap<string, MasterImage>): Ordered {
  const images: MasterImage[] = [];
  const circular = new Set<string>();
  const depths = new Map<string, number>();
  // By hand instead of by recursion, since chains are as long as whoever made the images likes.
  const path: Step[] = [];
  const enter = (image: MasterImage): void => {
    depths.set(image.name, path.length);
    path.push({ image, needs: [...image.links.values()], circleFrom: Number.POSITIVE_INFINITY });
  };
  const leave = ({ image, circleFrom }: Step): void => {
    path.pop();
    depths.set(image.name, done);
    images.push(image);
    if (circleFrom <= path.length) circular.add(image.name);
    const above = path.at(-1);
    if (above) above.circleFrom = Math.min(above.circleFrom, circleFrom);
  };
  for (const root of [...wanted.values()].sort(bySizeAndName)) {
    if (depths.has(root.name)) continue;
    if (root.links.size === 0) {
      // Nearly all.
      depths.set(root.name, done);
      images.push(root);
    } else enter(root);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const need = top.needs.shift();
      const next = wanted.get(need ?? '');
      const depth = next && depths.get(next.name);
      if (need === undefined) leave(top);
      else if (next && depth === undefined) enter(next);
      else if (depth !== undefined && depth !== done) top.circleFrom = Math.min(top.circleFrom, depth);
    }
  }
  return { images, circular };
}
