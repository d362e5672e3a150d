/** `glancesync.conf`, and the regions that words on a command line name. */
import { expect } from 'chai';
import { type ConfOptions, readGlancesyncConf } from '../../../src/sync/images/glancesyncConf.ts';
import { sampleGlancesyncConf } from '../../../src/sync/images/glancesyncSample.ts';
import { type ImagesConfig, masterTarget } from '../../../src/sync/images/imagesConfig.ts';
import { chooseRegions, masterFrom, targetFrom, targetsOf } from '../../../src/sync/images/regions.ts';
import { scenarioProject } from '../../../src/sync/images/scenario.ts';
import { imageWith } from '../../support/images.ts';

const credential = (tenant: string): string =>
  `credential = user,c2VjcmV0LWluLWhlcmU=,\\\n  http://k:5000/v2.0,${tenant}`;
const read = (text: string, options: Partial<ConfOptions> = {}): ImagesConfig =>
  readGlancesyncConf(text, { env: {}, compat: false, ...options });
const master = (lines: string, options: Partial<ConfOptions> = {}) =>
  read(`[main]\nmaster_region = M\n[master]\ntenant = t\n${lines}`, options).targets.get('master')!;
/** Of a scenario, where nobody logs in. */
const project = (config: ImagesConfig, name = masterTarget, options: Partial<ConfOptions> = {}) =>
  scenarioProject(name, config.targets.get(name)!, { env: {}, compat: false, ...options });

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
    const config = read(
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
    const { masterRegion, preferableOrder, targets, others } = config;
    expect([masterRegion, preferableOrder]).to.deep.equal(['Valladolid', ['Burgos', 'other:Madrid']]);
    const [one, other] = [targets.get('master')!, targets.get('other')!];
    expect([...targets.keys()]).to.deep.equal(['master', 'other']);
    expect(one).to.include({ condition: null, onlyOwnImages: true, supportsObsolete: true, listTimeoutMs: null });
    const login = { username: 'user', password: 'secret-in-here', authUrl: 'http://k:5000/v2.0' };
    expect(one.login).to.deep.equal({ ...login, projectName: 'tenant1' });
    expect(project(config)).to.deep.equal({ projectId: 'tenant1id', owner: 'tenant1id' });
    expect([...one.metadataSet]).to.deep.equal(['nid', 'type']);
    expect([...other.metadataSet]).to.deep.equal(['nid', 'type', 'more']);
    expect([...other.replace]).to.deep.equal(['any']);
    expect(other).to.include({ tenantId: '17', onlyOwnImages: false });
    expect(project(config, 'other')).to.deep.equal({ projectId: '17', owner: '17' });
    expect([...others.metadataSet, others.login]).to.deep.equal(['nid', 'type', {}]);
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
    const config = read('', { env });
    expect([config.masterRegion, project(config, 'master', { env }).projectId]).to.deep.equal(['M', 'tid']);
    const modern = { OS_REGION_NAME: 'M', OS_PROJECT_NAME: 'p' };
    expect(project(read('', { env: modern }), 'master', { env: modern }).owner).to.equal('pid');
  });

  it('a login in part counts by default, and not for the original', () => {
    const text = '[main]\nmaster_region = M\n[master]\ntenant = file\n';
    const env = { OS_TENANT_NAME: 'env' };
    const compat = { env, compat: true };
    expect(project(read(text, { env }), 'master', { env }).projectId).to.equal('fileid');
    expect(project(read(text, compat), 'master', compat).projectId).to.equal('envid');
    const whole = `${text}user = u\npassword = p\nkeystone_url = k\n`;
    expect(project(read(whole, compat), 'master', compat).projectId).to.equal('fileid');
    const mixed = `${text}credential = u,cA==,http://k,tenant\n`;
    expect(master('credential = u,cA==,http://k,other').login).to.deep.equal({
      username: 'u',
      password: 'p',
      authUrl: 'http://k',
      projectName: 't',
    });
    expect(read(mixed, compat).targets.get('master')!.login.projectName).to.equal('tenant');
  });

  it('new images belong to the project that counts as ours; those of the original to the tenant', () => {
    const of = (lines: string, compat: boolean) =>
      scenarioProject('master', master(lines, { compat }), { env: {}, compat });
    expect(of('tenant_id = x', false)).to.include({ projectId: 'x', owner: 'x' });
    const login = 'user = u\npassword = p\nkeystone_url = k\ntenant_id = x';
    expect(of(login, true)).to.include({ projectId: 'x', owner: 'tid' });
  });

  it('how many at a time, and how long for a listing', () => {
    expect(read('[main]\nmax_children = 3\n').parallel).to.equal(3);
    expect(read('').parallel).to.equal(1);
    expect(master('list_images_timeout = 30').listTimeoutMs).to.equal(30_000);
    for (const text of ['[main]\nmax_children = 0', '[main]\nmax_children = x', '[master]\nlist_images_timeout = -1'])
      expect(() => read(text)).to.throw(/whole number/);
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
    expect([alone.masterRegion, project(alone).projectId]).to.deep.equal(['M', 'tid']);
    expect(() => read(text, { overrides: ['third.replace=x'] })).to.throw(/no section "third"/);
    expect(() => read(text, { overrides: ['replace'] })).to.throw(/key=value/);
  });

  const wrong: readonly (readonly [text: string, says: RegExp])[] = [
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
    ['[other]\ncredential = u,secret\n', /\[other\] credential: it is written/],
  ];
  for (const [text, says] of wrong)
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => read(text)).to.throw(says);
      expect(() => read(text)).not.to.throw(/secret/);
    });

  it('a scenario cannot do without a project', () => {
    expect(() => project(read('[main]\nmaster_region = M\n'))).to.throw(/\[master\] tenant: it is not known/);
    expect(() => project(read('[other]\nuser = u\n', { env: { OS_TENANT_NAME: 't' } }), 'other')).to.throw(
      /\[other\] tenant/,
    );
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
  const known = ['A', 'C', 'D', 'M', 'a:b:c', 'east:R', 'other:M', 'other:X', 'other:Y', 'other:Z'];
  const choice = { config, known, master: 'M', partners: new Set(['east']) };
  const choose = (words: string) => chooseRegions(words === '' ? [] : words.split(' '), choice).map(({ name }) => name);

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
    ['east:', 'east:R'],
    ['east:R master:A A', 'east:R A'],
  ];
  for (const [words, regions] of cases)
    it(`"${words}" is ${regions}`, () => expect(choose(words).join(' ')).to.equal(regions));

  it('knows of which target a region is', () => {
    const [region, partners] = chooseRegions(['other:X', 'east:R'], choice);
    expect(region!.target).to.equal(config.targets.get('other'));
    expect(partners!.target).to.equal(config.others);
    expect(targetsOf(['A', 'other:X', 'other:', 'master:'])).to.deep.equal(['master', 'other']);
    expect(targetsOf([])).to.deep.equal(['master']);
  });

  it('knows which one images come from', () => {
    const from = (text?: string, more: Partial<ImagesConfig> = {}) => masterFrom(text, { ...config, ...more }, known);
    expect([from(), from('east'), from('east:'), from('east:R'), from('other:X')]).to.deep.equal([
      'M',
      'east:R',
      'east:R',
      'east:R',
      'other:X',
    ]);
    expect([undefined, 'east', 'other:X'].map(targetFrom)).to.deep.equal(['master', 'east', 'other']);
    expect(() => from('other')).to.throw(/there are: other:M, other:X/);
    expect(() => from('other:N')).to.throw(/no region "other:N"; there are: other:M/);
    expect(() => from('north')).to.throw(/none with images \(a region of this cloud is master:REGION\)/);
    expect(() => from(undefined, { masterRegion: null })).to.throw(/master_region is missing/);
    expect(masterFrom(undefined, { ...config, masterRegion: null }, ['only', 'east:R'])).to.equal('only');
  });

  it('refuses what is not there', () => {
    expect(() => choose('B')).to.throw(/no region "B"/);
    expect(() => choose('third:A')).to.throw(/no target "third"/);
    expect(() => choose('third:')).to.throw(/no target "third"/);
    expect(() => choose('constructor:')).to.throw(/no target/);
  });
});
