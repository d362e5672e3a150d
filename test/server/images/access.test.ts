/** What a partner may see, by the operator's words. */
import { expect } from 'chai';
import fc from 'fast-check';
import { partnerDefaults } from '../../../src/core/configSchema.ts';
import type { StoredImage } from '../../../src/lproxy/imageStore.ts';
import { assertUse, type ImageRules, matches, mayRead, regionFor } from '../../../src/server/images/access.ts';
import { rejection } from '../../support/errors.ts';
import { newAttributes } from '../../support/imageCloud.ts';

const {
  quota_gib: quotaGib,
  quota_images: quotaImages,
  write_visibility: writeVisibility,
  ...rest
} = partnerDefaults.images;
const rulesOf = (changes: Partial<ImageRules> = {}): ImageRules => ({
  ...rest,
  quotaGib,
  quotaImages,
  writeVisibility,
  ...changes,
});
const imageOf = (changes: Partial<StoredImage> = {}): StoredImage => ({
  ...newAttributes({ name: 'debian 13', visibility: 'public' }),
  id: 'i',
  owner: 'p1',
  status: 'active',
  sizeBytes: 1,
  checksum: null,
  hash: null,
  createdAt: null,
  updatedAt: null,
  ...changes,
});
const refusalOf = (act: () => unknown, name: 'not_exported' | 'region_not_found') =>
  rejection(Promise.resolve().then(act), name);

describe('server/images/access', () => {
  const cases: readonly [what: string, rules: Partial<ImageRules>, image: Partial<StoredImage>, seen: boolean][] = [
    ['nothing by default', {}, {}, false],
    ['public ones', { read: true }, {}, true],
    ['no others', { read: true }, { visibility: 'private' }, false],
    [
      'those of the visibilities',
      { read: true, visibility: ['community', 'private'] },
      { visibility: 'private' },
      true,
    ],
    ['no public ones then', { read: true, visibility: ['community', 'private'] }, {}, false],
    ['those of the projects', { read: true, projects: ['p0', 'p1'] }, {}, true],
    ['of no other project', { read: true, projects: ['p0'] }, {}, false],
    ['of nobody, where projects are named', { read: true, projects: ['p0'] }, { owner: '' }, false],
    ['those of the names', { read: true, names: ['x', 'deb*'] }, {}, true],
    ['of no other name', { read: true, names: ['deb', '*14'] }, {}, false],
    ['all conditions together', { read: true, projects: ['p1'], names: ['x'] }, {}, false],
    ['none that is gone', { read: true }, { status: 'pending_delete' }, false],
    ['none of our own on its way', { read: true }, { properties: new Map([['alliance_transfer', '1']]) }, false],
    ['none whose name moves the cursor', { read: true }, { name: 'a\u001b[2J' }, false],
    ['none whose name is longer than can be told', { read: true }, { name: 'é'.repeat(128) }, false],
    ['none that it may only write', { write: true }, {}, false],
  ];
  for (const [what, rules, image, seen] of cases)
    it(`shows ${what}`, () => expect(mayRead(rulesOf(rules), imageOf(image))).to.equal(seen));

  it('offers nothing by default, and to write only where that is said', async () => {
    await refusalOf(() => assertUse(rulesOf(), 'any'), 'not_exported');
    await refusalOf(() => assertUse(rulesOf({ read: true }), 'write'), 'not_exported');
    assertUse(rulesOf({ read: true }), 'any');
    assertUse(rulesOf({ write: true }), 'any');
    assertUse(rulesOf({ write: true }), 'write');
  });

  it('is about the own region, or about those that are listed', async () => {
    expect(regionFor(rulesOf(), undefined, 'home')).to.equal('home');
    expect(regionFor(rulesOf(), 'home', 'home')).to.equal('home');
    expect(regionFor(rulesOf({ regions: ['a', 'b'] }), 'b', 'home')).to.equal('b');
    for (const [regions, asked, home] of [
      [[], 'other', 'home'],
      [[], undefined, null],
      [[], 'home', null],
      [['a'], 'home', 'home'],
      [['a'], undefined, 'home'],
    ] as const)
      await refusalOf(() => regionFor(rulesOf({ regions }), asked, home), 'region_not_found');
  });

  it('patterns are those of a whole text, with stars for anything', () => {
    const texts = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 8 });
    const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    fc.assert(
      fc.property(texts, texts, (pattern, text) => {
        const same = new RegExp(`^${pattern.split('*').map(escaped).join('[^]*')}$`);
        expect(matches(pattern, text)).to.equal(same.test(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('a pattern made to take long takes no time', () => {
    const begun = performance.now();
    expect(matches(`${'a*'.repeat(100)}b`, 'a'.repeat(100_000))).to.equal(false);
    expect(performance.now() - begun).to.be.lessThan(500);
  });
});
