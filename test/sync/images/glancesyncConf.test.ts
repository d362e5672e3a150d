/** `glancesync.conf`, and the regions that words on a command line name. */
import { expect } from 'chai';
import {
  type ConfOptions,
  type GlancesyncConfig,
  readGlancesyncConf,
} from '../../../src/sync/images/glancesyncConf.ts';
import { sampleGlancesyncConf } from '../../../src/sync/images/glancesyncSample.ts';
import { chooseRegions } from '../../../src/sync/images/regions.ts';
import { imageWith } from '../../support/images.ts';

const credential = (tenant: string): string =>
  `credential = user,c2VjcmV0LWluLWhlcmU=,\\\n  http://k:5000/v2.0,${tenant}`;
const read = (text: string, options: Partial<ConfOptions> = {}): GlancesyncConfig =>
  readGlancesyncConf(text, { env: {}, compat: false, ...options });
const master = (lines: string, options: Partial<ConfOptions> = {}) =>
  read(`[main]\nmaster_region = M\n[master]\ntenant = t\n${lines}`, options).targets.get('master')!;

describe('sync/images/glancesyncConf', () => {
  it('comes to an end with files that are made to take long', () => {
    const laugh = Array.from({ length: 9 }, (_, i) => `k${i} = ${`%(k${i + 1})s`.repeat(30)}`).join('\n');
    expect(() => master(`${laugh}\nk9 =`)).to.throw();
    const inherited = `[DEFAULT]\n${Array.from({ length: 1000 }, (_, i) => `k${i} = 1\n`).join('')}`;
    expect(() => read(inherited + Array.from({ length: 200 }, (_, i) => `[s${i}]\n`).join(''))).to.throw();
    const began = performance.now();
    expect(() => master(`x${' '.repeat(300_000)}b`)).to.throw();
    master(`x = ${'%('.repeat(150_000)}`);
    expect(performance.now() - began).to.be.below(2000);
  });

  it('reads what the original reads', () => {
    const { masterRegion, preferableOrder, targets } = read(
      [
        '# Comment.',
        '; Another.',
        '[main]',
        'Master_Region: Valladolid ; the first',
        'preferable_order = Burgos,  other:Madrid,',
        '[DEFAULT]',
        'metadata_set = nid, type',
        'Base = nid, type',
        '[master]',
        credential('tenant1'),
        '',
        '[other]',
        credential('tenant2'),
        'metadata_set = %(base)s, more',
        'metadata_condition = image.is_public and\\',
        " 'type' in image.user_properties and image.user_properties['type']\\",
        "  == 'baseimage'",
        'replace = any',
        'only_tenant_images = no',
        'tenant_id = 17',
      ].join('\r\n'),
    );
    expect([masterRegion, preferableOrder]).to.deep.equal(['Valladolid', ['Burgos', 'other:Madrid']]);
    const [one, other] = [targets.get('master')!, targets.get('other')!];
    expect([...targets.keys()]).to.deep.equal(['master', 'other']);
    expect(one).to.include({ projectId: 'tenant1id', condition: null, onlyOwnImages: true, supportsObsolete: true });
    expect([...one.metadataSet]).to.deep.equal(['nid', 'type']);
    expect([...other.metadataSet]).to.deep.equal(['nid', 'type', 'more']);
    expect([...other.replace]).to.deep.equal(['any']);
    expect(other).to.include({ projectId: '17', owner: '17', onlyOwnImages: false });
    const image = imageWith('a', { properties: new Map([['type', 'baseimage']]) });
    expect(other.condition!.holds({ image, region: 'M', metadataSet: new Set() })).to.equal(true);
  });

  it('a sign of per cent that leads to nothing is one', () => {
    expect([...master('forcesyncs = 5%, %%(x)s, %(tenant)s, %(nothing)s').forceSyncs]).to.deep.equal([
      '5%',
      '%(x)s',
      't',
      '%(nothing)s',
    ]);
  });

  it('an empty condition is none', () => {
    for (const text of ['', "''", '""']) expect(master(`metadata_condition = ${text}`).condition).to.equal(null);
  });

  it('without a file the environment is enough', () => {
    const env = { OS_REGION_NAME: 'M', OS_TENANT_NAME: 't' };
    const { masterRegion, targets } = read('', { env });
    expect([masterRegion, targets.get('master')!.projectId]).to.deep.equal(['M', 'tid']);
    expect(read('', { env: { OS_REGION_NAME: 'M', OS_PROJECT_NAME: 'p' } }).targets.get('master')!.owner).to.equal(
      'pid',
    );
  });

  it('a login in part counts by default, and not for the original', () => {
    const text = '[main]\nmaster_region = M\n[master]\ntenant = file\n';
    const env = { OS_TENANT_NAME: 'env' };
    expect(read(text, { env }).targets.get('master')!.projectId).to.equal('fileid');
    expect(read(text, { env, compat: true }).targets.get('master')!.projectId).to.equal('envid');
    const whole = `${text}user = u\npassword = p\nkeystone_url = k\n`;
    expect(read(whole, { env, compat: true }).targets.get('master')!.projectId).to.equal('fileid');
  });

  it('new images belong to the project that counts as ours; those of the original to the tenant', () => {
    expect(master('tenant_id = x')).to.include({ projectId: 'x', owner: 'x' });
    const login = 'user = u\npassword = p\nkeystone_url = k\ntenant_id = x';
    expect(master(login, { compat: true })).to.include({ projectId: 'x', owner: 'tid' });
  });

  it('an override of a target comes before the file, and one of all targets behind what a target says itself', () => {
    const text = '[main]\nmaster_region = M\n[DEFAULT]\ntenant = t\nrename = a\n[master]\nreplace = b\n[other]\n';
    const condition = "metadata_condition=image.name == 'a=b.c'";
    const overrides = ['replace=c', 'RENAME=', 'other.dontupdate=d, e', 'main.master_region=N', condition];
    const { masterRegion, targets } = read(text, { overrides });
    const [one, other] = [targets.get('master')!, targets.get('other')!];
    expect(masterRegion).to.equal('N');
    expect([...one.replace, ...other.replace, ...one.rename, ...other.rename]).to.deep.equal(['b', 'c']);
    expect([[...one.dontUpdate], [...other.dontUpdate]]).to.deep.equal([[], ['d', 'e']]);
    expect(one.condition!.text).to.equal("image.name == 'a=b.c'");
    const env = { OS_REGION_NAME: 'X' };
    const alone = read('', { env, overrides: ['main.master_region=M', 'master.tenant=t'] });
    expect([alone.masterRegion, alone.targets.get('master')!.projectId]).to.deep.equal(['M', 'tid']);
    expect(() => read(text, { overrides: ['third.replace=x'] })).to.throw(/no section "third"/);
    expect(() => read(text, { overrides: ['replace'] })).to.throw(/key=value/);
  });

  const wrong: readonly (readonly [text: string, says: RegExp])[] = [
    ['[main]\n', /\[main\] master_region: it is missing/],
    ['[main]\nmaster_region = M\n', /\[master\] tenant: it is not known/],
    ['x = 1\n', /Line 1: there is no section/],
    ['[main]\npassword-that-is-secret\n', /Line 2: it is neither/],
    [
      '[main]\nmaster_region = M\n[master]\ntenant = t\nonly_tenant_images = maybe\n',
      /\[master\] only_tenant_images: it must/,
    ],
    [
      '[main]\nmaster_region = M\n[master]\ntenant = t\nmetadata_condition = True and\n',
      /metadata_condition: Column 9/,
    ],
    ['[main]\nmaster_region = %(a)s\na = %(master_region)s', /without end/],
    ['[main]\nmaster_region = M\n[other]\nuser = u\n', /\[master\] tenant/],
  ];
  for (const [text, says] of wrong)
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => read(text)).to.throw(says);
      expect(() => read(text)).not.to.throw(/secret/);
    });

  it('the sample loads, also with all that is commented out in it', () => {
    expect(read(sampleGlancesyncConf).masterRegion).to.equal('RegionOne');
    const all = sampleGlancesyncConf.replace(/^# (?=[a-z_0-9]+ =|\[)/gm, '');
    const { targets, preferableOrder } = read(all);
    expect([...targets.keys()]).to.deep.equal(['master', 'other']);
    expect(preferableOrder).to.deep.equal(['RegionTwo', 'other:RegionOne']);
    expect(targets.get('other')!.condition!.text).to.contain('is_public');
    const options = ['master_region', 'preferable_order', 'max_children', 'images_dir', 'user', 'password', 'tenant'];
    const more = [
      'keystone_url',
      'credential',
      'metadata_condition',
      'metadata_set',
      'forcesyncs',
      'replace',
      'rename',
    ];
    const last = [
      'dontupdate',
      'ignore_regions',
      'obsolete_syncprops',
      'only_tenant_images',
      'support_obsolete_images',
    ];
    for (const option of [...options, ...more, ...last, 'list_images_timeout', 'use_keystone_v3', 'tenant_id'])
      expect(all, option).to.match(new RegExp(`^${option} =`, 'm'));
  });
});

describe('sync/images/regions', () => {
  const config = read(
    [
      '[main]\nmaster_region = M\npreferable_order = other:Y, C, nowhere',
      '[DEFAULT]\ntenant = t',
      '[master]\nignore_regions = D',
      '[other]\nignore_regions = Z',
    ].join('\n'),
  );
  const known = ['A', 'C', 'D', 'M', 'a:b:c', 'other:M', 'other:X', 'other:Y', 'other:Z'];
  const choose = (words: string) =>
    chooseRegions(words === '' ? [] : words.split(' '), known, config).map(({ name }) => name);

  const cases: readonly (readonly [words: string, regions: string])[] = [
    ['', 'C A a:b:c'],
    ['master:', 'C A a:b:c'],
    ['A', 'A'],
    ['master:A M D', 'A M D'],
    ['C A other:Y', 'C A other:Y'],
    ['other:', 'other:Y other:M other:X'],
    ['A other:', 'other:Y A other:M other:X'],
    ['other:Z A C other:Y', 'other:Z A C other:Y'],
    ['a:b:c', 'a:b:c'],
  ];
  for (const [words, regions] of cases)
    it(`"${words}" is ${regions}`, () => expect(choose(words).join(' ')).to.equal(regions));

  it('knows of which target a region is', () => {
    const [region] = chooseRegions(['other:X'], known, config);
    expect(region!.target).to.equal(config.targets.get('other'));
  });

  it('refuses what is not there', () => {
    expect(() => choose('B')).to.throw(/no region "B"/);
    expect(() => choose('third:A')).to.throw(/no target "third"/);
    expect(() => choose('third:')).to.throw(/no target "third"/);
    expect(() => choose('constructor:')).to.throw(/no target/);
  });
});
