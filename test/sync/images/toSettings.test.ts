/** From `glancesync.conf` to `alliance.yaml`, and how each is read. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/core/config.ts';
import { readGlancesyncConf } from '../../../src/sync/images/glancesyncConf.ts';
import type { ImagesConfig } from '../../../src/sync/images/imagesConfig.ts';
import { imagesConfigOf, saysImages } from '../../../src/sync/images/imagesSettings.ts';
import { toSettings } from '../../../src/sync/images/toSettings.ts';
import { temporaryDirectory } from '../../support/directory.ts';

const conf = `
[main]
master_region = M
preferable_order = B, other:C
max_children = 4
[DEFAULT]
metadata_set = nid, type
[master]
credential = u,c2VjcmV0,http://k:5000/v2.0,t
metadata_condition = image.is_public and\\
  'type' in image.user_properties
forcesyncs = 1, 2
[other]
user = v
password = hunter2
tenant = p
keystone_url = http://o:5000/v3
replace = any
rename = c1
dontupdate = c2
only_tenant_images = False
support_obsolete_images = no
obsolete_syncprops = a
ignore_regions = R
list_images_timeout = 30
tenant_id = 17
`;

/** For comparisons. */
const plain = ({ targets, others: _others, ...rest }: ImagesConfig) => ({
  ...rest,
  targets: [...targets].map(([name, { condition, tenantId: _id, listTimeoutMs: _ms, ...target }]) => ({
    ...target,
    name,
    condition: condition?.text,
  })),
});

describe('sync/images/toSettings', () => {
  const home = temporaryDirectory();
  after(() => home.remove());

  const load = (images: object): ImagesConfig => {
    writeFileSync(home.file('alliance.yaml'), stringify({ cloud_id: 'east', images }));
    return imagesConfigOf(loadConfig({ home: home.path, env: {} }).images, { env: {} });
  };
  const read = (text: string) => readGlancesyncConf(text, { env: {}, compat: false });

  it('alliance.yaml means the same as the glancesync.conf that it was made of', () => {
    const config = read(conf.replace('/v2.0', '/v3'));
    const { images, withoutPassword } = toSettings(config, true);
    expect(withoutPassword).to.deep.equal([]);
    expect(plain(load(images))).to.deep.equal(plain(config));
    expect(plain(load(toSettings(read(''), false).images))).to.deep.equal(plain(read('')));
  });

  it('leaves passwords out unless they are asked for, and says what has no place', () => {
    const { images, withoutPassword, notes } = toSettings(read(conf), false);
    expect(JSON.stringify(images)).not.to.match(/secret|hunter2/);
    expect(images).to.have.nested.property('targets.master.auth.auth_url', 'http://k:5000/v3');
    expect(withoutPassword).to.deep.equal(['master', 'other']);
    expect(notes.join('\n'))
      .to.match(/other: tenant_id/)
      .and.match(/other: list_images_timeout/);
  });

  it('overrides: one of a target before what the file says, one of all targets behind it', () => {
    const { images } = loadConfigOf({
      targets: { other: { replace: ['x'], metadata_set: [] }, east: {} },
      bwlimit: '5M',
    });
    const overrides = ['replace=any', 'other.rename=y', 'main.master_region=N', 'east.only_tenant_images=False'];
    const config = imagesConfigOf(images, { env: { OS_REGION_NAME: 'E' }, overrides });
    const [other, east] = [config.targets.get('other')!, config.targets.get('east')!];
    expect([[...other.replace], [...other.rename], [...east.replace]]).to.deep.equal([['x'], ['y'], ['any']]);
    expect([east.onlyOwnImages, other.onlyOwnImages, config.masterRegion]).to.deep.equal([false, true, 'N']);
    const tenant = imagesConfigOf(images, {
      env: {},
      overrides: ['master.tenant=t', 'tenant=all', 'other.tenant_id=7'],
    });
    expect([...tenant.targets.values()].map(({ login, tenantId }) => [login, tenantId])).to.deep.equal([
      [{ projectName: 't' }, null],
      [{}, '7'],
      [{}, null],
    ]);
    expect([[...config.others.replace], config.bwlimit]).to.deep.equal([['any'], '5M']);
    expect([...config.targets.keys()]).to.deep.equal(['master', 'other', 'east']);
    expect(imagesConfigOf(images, { env: { OS_REGION_NAME: 'E' }, homeRegion: 'H' }).masterRegion).to.equal('E');
    expect(imagesConfigOf(images, { env: {}, homeRegion: 'H' }).masterRegion).to.equal('H');
    expect(() => imagesConfigOf(images, { env: {}, overrides: ['third.replace=x'] })).to.throw(/no section "third"/);
    expect([saysImages(images), saysImages(loadConfigOf({ parallel: 2 }).images)]).to.deep.equal([true, false]);
  });

  const loadConfigOf = (images: object) => {
    writeFileSync(home.file('alliance.yaml'), stringify({ cloud_id: 'east', images }));
    return loadConfig({ home: home.path, env: {} });
  };

  it('names the key of a condition that is wrong', () => {
    expect(() => load({ targets: { other: { metadata_condition: 'True and' } } })).to.throw(
      /images\.targets\.other\.metadata_condition: Column 9/,
    );
  });
});
