/** Kernels and ramdisks come before what needs them; within that, smallest first, then by name. */
import { bySizeAndName } from './image.ts';
import type { MasterImage } from './master.ts';

export interface Ordered {
  readonly images: readonly MasterImage[];
  /** Names of images on a circle of needs: without them the rest has an order. */
  readonly circular: ReadonlySet<string>;
}

export function inOrderOfDependency(wanted: ReadonlyMap<string, MasterImage>): Ordered {
  const images: MasterImage[] = [];
  const circular = new Set<string>();
  const state = new Map<string, 'open' | 'done'>();
  for (const root of [...wanted.values()].sort(bySizeAndName)) {
    // By hand instead of by recursion, since chains are as long as whoever made the images likes.
    const path: { readonly image: MasterImage; readonly needs: string[] }[] = [];
    const enter = (image: MasterImage): void => {
      state.set(image.name, 'open');
      path.push({ image, needs: [...image.links.values()] });
    };
    if (!state.has(root.name)) enter(root);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const next = wanted.get(top.needs.shift() ?? '');
      if (next && state.get(next.name) === 'open') {
        const from = path.findIndex(({ image }) => image === next);
        for (const { image } of path.slice(from)) circular.add(image.name);
      } else if (next && !state.has(next.name)) enter(next);
      else if (top.needs.length === 0 && (!next || state.get(next.name) === 'done')) {
        state.set(top.image.name, 'done');
        images.push(top.image);
        path.pop();
      }
    }
  }
  return { images, circular };
}
