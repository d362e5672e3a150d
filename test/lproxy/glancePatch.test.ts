import { expect } from 'chai';
import fc from 'fast-check';
import { isPropertyKey } from '../../src/lproxy/glanceBodies.ts';
import { patchOf } from '../../src/lproxy/glancePatch.ts';
import { type ImageChanges, type StoredImage, visibilities } from '../../src/lproxy/imageStore.ts';
import type { GlanceImage } from '../../src/sandbox/glance/image.ts';
import { applyPatch } from '../../src/sandbox/glance/patch.ts';
import { refusal } from '../support/errors.ts';

/** Few, so that they meet; those that pointers escape; and names that objects have of themselves. */
const key = fc
  .oneof(
    fc.constantFrom('a', 'b', 'a/b', '~', '~0', '~1', '/', 'a~/b', '__proto__', 'constructor', 'toString', 'tags2'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
  )
  // Glance takes spaces off the ends of names.
  .filter((text) => text.trim() === text && text !== '' && isPropertyKey(text) && !text.startsWith('os_glance'));
const text = fc.string({ maxLength: 10 });

const attributes = fc.record({
  name: text,
  visibility: fc.constantFrom(...visibilities),
  diskFormat: fc.constantFrom('raw', 'qcow2', null),
  containerFormat: fc.constantFrom('bare', 'ami', null),
  minDiskGib: fc.nat(9),
  minRamMib: fc.nat(9),
  protected: fc.boolean(),
  hidden: fc.boolean(),
  tags: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')),
});
const properties = fc.uniqueArray(fc.tuple(key, text), { selector: ([name]) => name, maxLength: 8 });
const edits = fc.uniqueArray(fc.tuple(key, fc.option(text)), { selector: ([name]) => name, maxLength: 8 });

const known = {
  id: 'i',
  owner: 'p',
  status: 'queued',
  checksum: null,
  hash: null,
  createdAt: 0,
  updatedAt: 0,
} as const;

type Attributes = Omit<StoredImage, keyof typeof known | 'properties' | 'sizeBytes'>;

const imageOf = (values: Attributes, held: readonly (readonly [string, string])[]): StoredImage => ({
  ...known,
  ...values,
  sizeBytes: null,
  properties: new Map(held),
});

/** The same as a Glance keeps it. */
const keptOf = (image: StoredImage): GlanceImage => ({
  id: image.id,
  name: image.name,
  owner: image.owner,
  status: image.status,
  visibility: image.visibility,
  diskFormat: image.diskFormat,
  containerFormat: image.containerFormat,
  minDisk: image.minDiskGib,
  minRam: image.minRamMib,
  protected: image.protected,
  hidden: image.hidden,
  tags: [...image.tags],
  size: null,
  checksum: null,
  hashAlgorithm: null,
  hashValue: null,
  createdAt: 0,
  updatedAt: 0,
  properties: new Map(image.properties),
  members: new Map(),
});

const backOf = (kept: GlanceImage): StoredImage => ({
  ...known,
  name: kept.name ?? '',
  visibility: kept.visibility,
  diskFormat: kept.diskFormat,
  containerFormat: kept.containerFormat,
  minDiskGib: kept.minDisk,
  minRamMib: kept.minRam,
  protected: kept.protected,
  hidden: kept.hidden,
  tags: kept.tags,
  sizeBytes: null,
  properties: new Map([...kept.properties].map(([name, value]) => [name, value ?? ''])),
});

function expected(image: StoredImage, { properties: changed = new Map(), ...rest }: ImageChanges): StoredImage {
  const merged = new Map(image.properties);
  for (const [name, value] of changed)
    if (value === null) merged.delete(name);
    else merged.set(name, value);
  return { ...image, ...rest, properties: merged };
}

const comparable = ({ tags, properties: held, ...rest }: StoredImage) => ({
  ...rest,
  tags: [...tags].sort(),
  properties: [...held].sort(([a], [b]) => (a < b ? -1 : 1)),
});

const plain: Attributes = {
  name: 'n',
  visibility: 'private',
  diskFormat: 'raw',
  containerFormat: 'bare',
  minDiskGib: 0,
  minRamMib: 0,
  protected: false,
  hidden: false,
  tags: ['a', 'b'],
};

const admin = { projectId: 'p', roles: new Set(['admin']) };

describe('the JSON patch of an image', () => {
  it('makes of it what was asked for, through JSON and a Glance, and nothing more the second time', () => {
    fc.assert(
      fc.property(
        attributes,
        properties,
        fc.record({ rest: fc.oneof(attributes, fc.constant({})), changed: edits }),
        (values, held, { rest, changed }) => {
          const image = imageOf(values, held);
          const changes: ImageChanges = { ...rest, properties: new Map(changed) };
          const kept = keptOf(image);
          applyPatch(admin, kept, JSON.parse(JSON.stringify(patchOf(image, changes))));
          const after = backOf(kept);
          expect(comparable(after)).to.deep.equal(comparable(expected(image, changes)));
          expect(patchOf(after, changes)).to.deep.equal([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('names what differs and how', () => {
    const image = imageOf(plain, [
      ['kept', '1'],
      ['x/y~z', '2'],
      ['gone', '3'],
    ]);
    const changed = new Map([
      ['kept', '1'],
      ['x/y~z', 'two'],
      ['gone', null],
      ['absent', null],
      ['new', ''],
    ]);
    expect(patchOf(image, { name: 'n', tags: ['b', 'a'], minRamMib: 5, properties: changed })).to.deep.equal([
      { op: 'replace', path: '/min_ram', value: 5 },
      { op: 'replace', path: '/x~1y~0z', value: 'two' },
      { op: 'remove', path: '/gone' },
      { op: 'add', path: '/new', value: '' },
    ]);
    expect(patchOf(image, {})).to.deep.equal([]);
  });

  it('touches no member of the schema by way of a property', () => {
    const image = imageOf(plain, []);
    for (const name of ['status', 'owner', 'visibility', 'locations', 'os_glance_x', 'os_hash_value', ''])
      refusal(() => patchOf(image, { properties: new Map([[name, 'x']]) }), 'image_refused');
  });
});
