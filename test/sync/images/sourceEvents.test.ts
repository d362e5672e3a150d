import { expect } from 'chai';
import fc from 'fast-check';
import type { Image } from '../../../src/sync/images/image.ts';
import { compareSource } from '../../../src/sync/images/sourceEvents.ts';

const image = (changes: Partial<Image> = {}): Image => ({
  ...{ id: 'i1', name: 'ubuntu', owner: 'p', status: 'active', isPublic: true, sizeBytes: 5, checksum: 'c' },
  ...{ properties: new Map([['a', '1'], ['b', '2']]) }, // biome-ignore format: pairs
  ...changes,
});
const how = { projectId: 'p', most: 100 };
const baselineOf = (...images: Image[]) => compareSource(null, images, how).baseline;

describe('sync/images/sourceEvents', () => {
  it('tells nothing at the first look, and nothing while nothing changes', () => {
    const first = compareSource(null, [image()], how);
    expect(first.changed).to.deep.equal([]);
    const again = image({ properties: new Map([['b', '2'], ['a', '1']]) }); // biome-ignore format: pairs
    expect(compareSource(first.baseline, [again], how)).to.deep.equal({ baseline: first.baseline, changed: [] });
  });

  it('tells of images that are new, become active, or differ in whatever a sync would see', () => {
    const before = baselineOf(image());
    for (const changes of [
      { name: 'debian' },
      { isPublic: false },
      { checksum: null },
      { sizeBytes: 6 },
      { hash: { algorithm: 'sha512', value: 'h' } },
      { properties: new Map([['a', '1']]) },
      { properties: new Map([['a', '1'], ['b', '3']]) }, // biome-ignore format: pairs
    ] satisfies Partial<Image>[])
      expect(compareSource(before, [image(changes)], how).changed, JSON.stringify(changes)).to.have.length(1);
    const [queued, other] = [image({ status: 'queued' }), image({ id: 'i2', name: 'cirros' })];
    expect(compareSource(before, [image(), other], how).changed).to.deep.equal(['cirros']);
    const between = compareSource(before, [queued], how);
    expect(between.changed).to.deep.equal([]);
    expect(compareSource(between.baseline, [image()], how).changed).to.deep.equal(['ubuntu']);
  });

  it('does not tell of images that are gone, of others, or without a name', () => {
    const before = baselineOf(image());
    const others = [
      image({ id: 'i2', owner: 'q' }),
      image({ id: 'i3', name: '' }),
      image({ id: 'i4', status: 'saving' }),
    ];
    expect(compareSource(before, others, how)).to.deep.equal({ baseline: new Map(), changed: [] });
    expect(compareSource(before, [image({ owner: '' })], how).changed).to.deep.equal([]);
  });

  it('whatever the order and the number of images', () => {
    const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 20 });
    fc.assert(
      fc.property(ids, ids, fc.integer({ min: 1, max: 30 }), (was, is, most) => {
        const bounds = { projectId: 'p', most };
        const listing = (names: readonly string[]) => names.map((id) => image({ id, name: id }));
        const before = compareSource(null, listing(was), bounds).baseline;
        const look = compareSource(before, listing(is), bounds);
        expect(look.baseline.size).to.equal(Math.min(most, is.length));
        expect(compareSource(before, listing([...is].reverse()), bounds)).to.deep.equal(look);
        expect(new Set(look.changed)).to.deep.equal(new Set([...look.baseline.keys()].filter((id) => !before.has(id))));
        expect(compareSource(look.baseline, listing(is), bounds).changed).to.deep.equal([]);
      }),
    );
  });
});
