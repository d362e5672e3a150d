import { expect } from 'chai';
import fc from 'fast-check';
import { inOrderOfDependency } from '../../../src/sync/images/dependencies.ts';
import { bySizeAndName, type LinkKey } from '../../../src/sync/images/image.ts';
import type { MasterImage } from '../../../src/sync/images/master.ts';
import { imageWith } from '../../support/images.ts';

const needing = (name: string, kernel?: string, ramdisk?: string, sizeBytes = 100): MasterImage => {
  const links = new Map<LinkKey, string>();
  if (kernel !== undefined) links.set('kernel_id', kernel);
  if (ramdisk !== undefined) links.set('ramdisk_id', ramdisk);
  return { ...imageWith(name, { sizeBytes }), links, broken: [] };
};

/** Up to twelve images that need any two others, themselves, or nothing. */
const anyImages = fc
  .array(fc.tuple(fc.nat(13), fc.nat(13), fc.nat(3)), { maxLength: 12 })
  .map((rows) => rows.map(([a, b, size], n) => needing(String(n), nameOf(a), nameOf(b), size)));
const nameOf = (n: number): string | undefined => (n > 11 ? undefined : String(n));

/** Names that can be reached from an image by one need or more. */
function reachedFrom(image: MasterImage, images: readonly MasterImage[]): Set<string> {
  const reached = new Set<string>();
  const visit = (each: MasterImage | undefined): void => {
    for (const name of each?.links.values() ?? [])
      if (!reached.has(name)) {
        reached.add(name);
        visit(images.find((other) => other.name === name));
      }
  };
  visit(image);
  return reached;
}

describe('sync/images/dependencies', () => {
  it('names exactly those on a circle', () => {
    fc.assert(
      fc.property(anyImages, (images) => {
        const circular = images.filter((image) => reachedFrom(image, images).has(image.name)).map(({ name }) => name);
        expect([...inOrderOfDependency(images).circular].sort()).to.deep.equal(circular.sort());
      }),
    );
  });

  it('has each image once, and what an image needs before it, but on circles', () => {
    fc.assert(
      fc.property(anyImages, (images) => {
        const ordered = inOrderOfDependency(images);
        const places = new Map(ordered.images.map(({ name }, place) => [name, place]));
        expect(places.size).to.equal(images.length);
        for (const { name, links } of ordered.images)
          for (const need of links.values())
            if (places.has(need) && !ordered.circular.has(name)) expect(places.get(need)).below(places.get(name)!);
      }),
    );
  });

  it('goes by size and name where nothing is needed', () => {
    const images = [needing('c', undefined, undefined, 1), needing('b'), needing('a')];
    expect(inOrderOfDependency(images).images).to.deep.equal([...images].sort(bySizeAndName));
  });

  it('takes long chains with as many ways back in a time that grows with their length', () => {
    const count = 50_000;
    const images = Array.from({ length: count }, (_, n) => needing(`i${n}`, `i${n + 1}`, 'i0', n));
    expect(inOrderOfDependency(images).circular.size).to.equal(count);
  }).timeout(2000);
});
