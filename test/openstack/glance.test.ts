import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { createGlanceRegions, type GlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import { describeGlance, plainImage } from '../support/glanceContract.ts';
import { type CloudGlance, startCloudGlance } from './cloudGlance.ts';

describeGlance('a real Glance', () => startCloudGlance({ region: 'images' }));

describe('two real Glances, each beside its own Keystone', function () {
  this.timeout(120_000);
  let clouds: CloudGlance[] = [];
  let logins: GlanceRegions[] = [];

  before(async function () {
    this.timeout(240_000);
    clouds = await Promise.all(['images', 'images2'].map((region) => startCloudGlance({ region })));
    logins = clouds.map(({ keystone }) =>
      createGlanceRegions({
        authUrl: keystone.url,
        credentials: {
          method: 'password',
          user: { name: 'admin', domain: { id: 'default' } },
          password: keystone.adminPassword,
        },
        scope: { project: { name: 'admin', domain: { id: 'default' } } },
      }),
    );
  });
  after(async () => {
    await Promise.all([...logins.map((login) => login.close()), ...clouds.map((cloud) => cloud.stop())]);
  });

  it('take an image of each other, as a stream', async () => {
    const [from, to] = await Promise.all(logins.map((login, index) => login.store(clouds[index]!.region)));
    const sizeBytes = 64 * 1024 * 1024;
    const content = async function* () {
      for (let sent = 0; sent < sizeBytes; sent += 1024 * 1024) yield Buffer.alloc(1024 * 1024, `${sent}`);
    };
    const { id } = await from!.create(randomUUID(), plainImage({ visibility: 'public' }));
    const source = await from!.write(id, content(), sizeBytes);
    await to!.create(id, plainImage({ visibility: 'public' }));
    const copy = await to!.write(id, from!.read(id, 0), sizeBytes);
    expect(copy).to.include({ id, status: 'active', sizeBytes, checksum: source.checksum, visibility: 'public' });
    expect(copy.hash).to.deep.equal(source.hash);
    expect(copy.owner).to.not.equal(source.owner);
  });
});
