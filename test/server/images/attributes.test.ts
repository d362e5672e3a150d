/** What a partner may say of its images, and what never. */
import { expect } from 'chai';
import { partnerDefaults } from '../../../src/core/configSchema.ts';
import { AllianceError } from '../../../src/core/errors.ts';
import type { ErrorName } from '../../../src/core/errorTable.ts';
import { partnerImageLimits } from '../../../src/core/limits.ts';
import type { ImageRules } from '../../../src/server/images/access.ts';
import {
  assertAllowed,
  changesOf,
  linksOf,
  newAttributes,
  readAttributes,
  readRemoved,
} from '../../../src/server/images/attributes.ts';
import { ImageAttributes, ImageVisibility } from '../../../src/wire/types.ts';
import { refusal } from '../../support/errors.ts';

const {
  quota_gib: quotaGib,
  quota_images: quotaImages,
  write_visibility: writeVisibility,
  ...rest
} = partnerDefaults.images;
const rules = (changes: Partial<ImageRules> = {}): ImageRules => ({
  ...rest,
  quotaGib,
  quotaImages,
  writeVisibility,
  ...changes,
});
type Fields = ConstructorParameters<typeof ImageAttributes>[0];

/** `error field`, or nothing. */
function verdict(fields: Fields, { removed = [] as string[], under = rules() } = {}): string {
  try {
    const said = readAttributes(new ImageAttributes(fields));
    assertAllowed(under, said, readRemoved(removed));
    return '';
  } catch (thrown) {
    if (!(thrown instanceof AllianceError)) throw thrown;
    return `${thrown.errorName} ${thrown.field}`;
  }
}

describe('server/images/attributes', () => {
  const one = (key: string, value = 'x') => ({ properties: { [key]: value } });
  const refused: readonly [what: string, fields: Fields, error: ErrorName, field: string][] = [
    ['a name that moves the cursor', { name: 'a\u001b[2J' }, 'bad_request', 'name'],
    ['no name', { name: '' }, 'bad_request', 'name'],
    ['a long name', { name: 'é'.repeat(128) }, 'bad_request', 'name'],
    ['a negative disk', { min_disk: -1 }, 'bad_request', 'min_disk'],
    ['a negative memory', { min_ram: -1 }, 'bad_request', 'min_ram'],
    ['many tags', { tags: Array.from({ length: 129 }, (_, i) => `t${i}`) }, 'bad_request', 'tags'],
    ['a long tag', { tags: ['x'.repeat(256)] }, 'bad_request', 'tags'],
    ['a long value', one('a', 'x'.repeat(16 * 1024 + 1)), 'bad_request', 'properties'],
    ['a value with a NUL', one('a', 'x\0'), 'bad_request', 'properties'],
    ['a long key', one('x'.repeat(256)), 'bad_request', 'properties'],
    ['to be public', { visibility: ImageVisibility.PUBLIC }, 'image_refused', 'visibility'],
    ['to be seen further than allowed', { visibility: ImageVisibility.COMMUNITY }, 'image_refused', 'visibility'],
    ['to be protected', { is_protected: true }, 'image_refused', 'is_protected'],
    ['a container to look into', { container_format: 'ova' }, 'image_refused', 'container_format'],
    ...[
      'owner',
      'Owner',
      'visibility',
      'locations',
      'direct_url',
      'status',
      'id',
      'os_hash_value',
      'os_hidden',
      'protected',
      'stores',
      'alliance_partner',
      'Alliance_transfer',
      'os_glance_importing_to_stores',
      'OS_GLANCE_x',
      'block_device_mapping',
      'cinder_encryption_key_id',
    ].map((key): [string, Fields, ErrorName, string] => [`to set ${key}`, one(key), 'image_refused', 'properties']),
  ];
  for (const [what, fields, error, field] of refused)
    it(`refuses ${what}`, () => expect(verdict(fields)).to.equal(`${error} ${field}`));

  it('refuses more properties than there may be', () => {
    const properties = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`k${i}`, 'v']));
    expect(verdict({ properties })).to.equal('bad_request properties');
    expect(verdict({}, { removed: Object.keys(properties) })).to.equal('bad_request removed_properties');
  });

  it('one image has so many properties, and so much in them, with those that it had', () => {
    const { ownProperties, ownPropertiesBytes, valueBytes } = partnerImageLimits;
    const many = (count: number, value = 'v', name = 'k') =>
      new Map(Array.from({ length: count }, (_, i) => [`${name}${i}`, value] as const));
    const make = (properties: ReadonlyMap<string, string>) =>
      newAttributes({ name: 'a', diskFormat: 'raw', properties });
    const full = many(ownProperties);
    const heavy = many(ownPropertiesBytes / valueBytes - 1, 'x'.repeat(valueBytes));
    expect(make(full).properties).to.equal(full);
    expect(make(heavy).properties).to.equal(heavy);
    const more = many(1, 'y'.repeat(valueBytes), 'more');
    for (const wrong of [many(ownProperties + 1), new Map([...heavy, ...more]), many(2, '\u0001'.repeat(valueBytes))])
      expect(refusal(() => make(wrong), 'bad_request').field).to.equal('properties');
    const formats = { diskFormat: 'raw', containerFormat: 'bare' };
    const change = (
      present: ReadonlyMap<string, string>,
      properties: ReadonlyMap<string, string>,
      removed = ['none'],
    ) => changesOf({ properties }, removed, { ...formats, properties: present });
    for (const said of [full, heavy]) {
      // Ours are nothing that it said.
      const present = new Map([...said, ['alliance_partner', 'x']]);
      refusal(() => change(present, more), 'bad_request');
      expect(change(present, more, ['k0']).properties!.get('k0')).to.equal(null);
      change(present, new Map([['k0', 'short']]));
    }
    change(many(ownProperties + 50), new Map(), ['k0']);
  });

  it('takes off nothing that it may not set', () => {
    for (const key of ['alliance_partner', 'os_glance_x', 'owner'])
      expect(verdict({}, { removed: [key] })).to.equal('image_refused properties');
    expect(verdict({}, { removed: ['a', 'partner_alliance_transfer'] })).to.equal('');
  });

  it('lets through what is said within the rules', () => {
    expect(
      verdict({ name: 'a b', min_disk: 0, min_ram: 512, hidden: true, is_protected: false, tags: ['a'] }),
    ).to.equal('');
    expect(verdict(one('os_distro'))).to.equal('');
    expect(verdict(one('partner_alliance_transfer'), { under: rules({ properties: [] }) })).to.equal('');
    const narrow = rules({ properties: ['os_*', 'nid'], writeVisibility: 'community' });
    expect(verdict(one('os_distro'), { under: narrow })).to.equal('');
    expect(verdict(one('nidx'), { under: narrow })).to.equal('image_refused properties');
    for (const visibility of [ImageVisibility.PRIVATE, ImageVisibility.SHARED, ImageVisibility.COMMUNITY])
      expect(verdict({ visibility }, { under: narrow })).to.equal('');
    expect(verdict({ visibility: ImageVisibility.PUBLIC }, { under: narrow })).to.equal('image_refused visibility');
  });

  it('a new image is private, and has a name and a format', () => {
    const made = newAttributes(readAttributes(new ImageAttributes({ name: 'a', disk_format: 'raw' })));
    expect(made).to.deep.include({ name: 'a', visibility: 'private', diskFormat: 'raw', containerFormat: 'bare' });
    for (const said of [{ name: 'a' }, { disk_format: 'raw' }])
      expect(() => newAttributes(readAttributes(new ImageAttributes(said)))).to.throw(AllianceError);
  });

  it('what is said of kernels is found, however it is spelled', () => {
    const properties = new Map([
      ['kernel_id', 'a'],
      ['Ramdisk_ID', 'b'],
      ['kernel', 'c'],
    ]);
    expect(linksOf({ properties })).to.deep.equal(['a', 'b']);
  });

  it('a change says only what changes, and never another format', () => {
    const present = { diskFormat: 'raw', containerFormat: 'bare', properties: new Map() };
    expect(changesOf({ name: 'a', diskFormat: 'raw' }, [], present)).to.deep.equal({ name: 'a' });
    const changes = changesOf({ properties: new Map([['a', '1']]) }, ['a', 'b'], present);
    expect([...changes.properties!]).to.deep.equal([
      ['a', '1'],
      ['b', null],
    ]);
    for (const said of [{ diskFormat: 'qcow2' }, { containerFormat: 'ami' }])
      expect(() => changesOf(said, [], present))
        .to.throw(AllianceError)
        .with.property('errorName', 'image_refused');
  });
});
