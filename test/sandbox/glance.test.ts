/** What only the embedded Glance has: its place in the catalog, its files, its faults. The API is tested by the contract. */
import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { expect } from 'chai';
import { createGlanceRegions, type GlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import type { ImageStore } from '../../src/lproxy/imageStore.ts';
import { type SandboxGlance, type SandboxGlanceOptions, startGlance } from '../../src/sandbox/glance.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { rejection } from '../support/errors.ts';
import { listAll, newImage, pieces, plainImage, readAll } from '../support/glanceContract.ts';

const mib = 1024 * 1024;

describe('sandbox Glance', () => {
  let keystone: SandboxKeystone;
  let directory: TemporaryDirectory;
  const opened: { close(): Promise<void> }[] = [];

  async function start(options: Partial<SandboxGlanceOptions> = {}): Promise<SandboxGlance> {
    const glance = await startGlance({ keystone, ...options });
    opened.push(glance);
    return glance;
  }

  function login(user: 'demo' | 'admin' = 'demo'): GlanceRegions {
    const password = user === 'demo' ? keystone.demoPassword : keystone.adminPassword;
    const regions = createGlanceRegions({
      authUrl: keystone.url,
      credentials: { method: 'password', user: { name: user, domain: { name: 'Default' } }, password },
      scope: { project: { name: user, domain: { name: 'Default' } } },
    });
    opened.push(regions);
    return regions;
  }

  const storeOf = (region = 'RegionOne', user?: 'demo' | 'admin'): Promise<ImageStore> => login(user).store(region);

  beforeEach(async () => {
    keystone = await startSandboxKeystone();
    directory = temporaryDirectory();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
    await keystone.stop();
    directory.remove();
  });

  it('is in the catalog of its Keystone, one for each region, until it is closed', async () => {
    await start();
    const second = await start({ region: 'Burgos', prefix: '/image' });
    const regions = login();
    expect(await regions.regions()).to.deep.equal(['RegionOne', 'Burgos']);
    const [one, burgos] = [await regions.store('RegionOne'), await regions.store('Burgos')];
    const { id } = await newImage(burgos, 'x');
    expect(second.images.get(id)?.status).to.equal('active');
    await rejection(one.get(id), 'image_not_found');
    await second.close();
    expect(await login().regions()).to.deep.equal(['RegionOne']);
  });

  it('says which versions it speaks, to anybody', async () => {
    const { url } = await start({ prefix: '/image' });
    for (const [path, status] of [
      ['/', 300],
      ['/versions', 200],
    ] as const) {
      const answer = await fetch(url + path);
      expect(answer.status).to.equal(status);
      expect(((await answer.json()) as { versions: object[] }).versions[0]).to.deep.include({
        id: 'v2.15',
        status: 'CURRENT',
      });
    }
    expect((await fetch(`${url}/v2/images`)).status).to.equal(401);
  });

  it('checks tokens at any Keystone, with a login of its own', async () => {
    const { url } = await start({
      keystone: { authUrl: keystone.url, username: 'admin', password: keystone.adminPassword, projectName: 'admin' },
    });
    expect(await login().regions()).to.deep.equal([]);
    const service = keystone.state.addService('image', 'glance');
    keystone.state.addEndpoint({ serviceId: service.id, interface: 'public', regionId: 'far', url });
    expect(await listAll(await storeOf('far'))).to.deep.equal([]);
  });

  it('is 503 while its Keystone is away', async () => {
    const glance = await start({ tokenCacheTimeS: 0 });
    const store = await storeOf();
    await store.get(randomUUID()).catch(() => undefined);
    keystone.faults.always('500', { match: { path: /auth/ } });
    await rejection(store.get(randomUUID()), 'glance_unreachable');
    expect(glance.requests.at(-1)!.status).to.equal(503);
    keystone.faults.clear();
    await rejection(store.get(randomUUID()), 'image_not_found');
  });

  it('keeps large images in files that have no name, which go with them and with itself', async () => {
    const glance = await start({ directory: directory.path, memoryBytes: mib });
    const store = await storeOf();
    /** Files of this process within the directory that have no name any more. */
    const files = () =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${directory.path}/`);
        } catch {
          return false;
        }
      }).length;
    await newImage(store, Buffer.alloc(mib, 1));
    expect(files()).to.equal(0);
    const bytes = Buffer.alloc(5 * mib, 'abc');
    const large = await newImage(store, bytes);
    expect(large.checksum).to.equal(createHash('md5').update(bytes).digest('hex'));
    expect([files(), readdirSync(directory.path)]).to.deep.equal([1, []]);
    const parts = [0, 3 * mib + 1, 5 * mib - 1];
    const read = await Promise.all(parts.map((offset) => readAll(store, large.id, offset)));
    expect(read.map((part, index) => part.equals(bytes.subarray(parts[index])))).to.deep.equal([true, true, true]);
    await store.delete(large.id);
    expect(files()).to.equal(0);
    await newImage(store, bytes);
    const failing = (async function* () {
      yield bytes;
      throw new Error('no more');
    })();
    const { id } = await store.create(randomUUID(), plainImage());
    await store.write(id, failing, 2 * bytes.length).catch(() => undefined);
    await glance.close();
    expect(files()).to.equal(0);
  });

  it('never uses an id twice', async () => {
    await start();
    const store = await storeOf();
    const { id } = await newImage(store, 'x');
    await store.delete(id);
    await rejection(store.create(id, plainImage()), 'image_conflict');
  });

  it('has quotas of number and bytes for each project', async () => {
    const glance = await start();
    const [demo, admin] = await Promise.all([storeOf(), storeOf('RegionOne', 'admin')]);
    await newImage(demo, 'four');
    Object.assign(glance.quota, { images: 2, bytes: 6 });
    const { id } = await demo.create(randomUUID(), plainImage());
    await rejection(demo.create(randomUUID(), plainImage()), 'image_quota');
    await rejection(demo.write(id, pieces('abc'), 3), 'image_quota');
    await demo.write(id, pieces('ab'), 2);
    await newImage(admin, '123456');
  });

  it('deactivates images, whose bytes only admins then have', async () => {
    const { url } = await start();
    const [store, admin] = await Promise.all([storeOf(), storeOf('RegionOne', 'admin')]);
    const { id } = await newImage(store, 'x');
    const act = async (action: string) => {
      const token = await tokenOf();
      const answer = await fetch(`${url}/v2/images/${id}/actions/${action}`, {
        method: 'POST',
        headers: { 'x-auth-token': token },
      });
      expect(answer.status).to.equal(204);
    };
    const tokenOf = async () => {
      const body = {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name: 'demo', domain: { id: 'default' }, password: keystone.demoPassword } },
          },
        },
      };
      const answer = await fetch(`${keystone.url}/auth/tokens`, { method: 'POST', body: JSON.stringify(body) });
      return answer.headers.get('x-subject-token')!;
    };
    await act('deactivate');
    expect((await store.get(id)).status).to.equal('deactivated');
    await rejection(readAll(store, id), 'image_refused');
    expect((await readAll(admin, id)).toString()).to.equal('x');
    await act('reactivate');
    expect((await readAll(store, id)).toString()).to.equal('x');
  });

  it('fails as it is told to: which requests, how often, and after how many', async () => {
    const glance = await start();
    const store = await storeOf();
    const { id } = await newImage(store, 'content');
    glance.faults.next({ method: 'GET', path: /nothing/, kind: 'status' });
    glance.faults.next({ method: 'GET', kind: 'status', status: 500, skip: 1, times: 2 });
    await store.get(id);
    await rejection(store.get(id), 'glance_unreachable');
    await rejection(store.get(id), 'glance_unreachable');
    await store.get(id);
    expect(glance.faults.hits).to.equal(2);
    expect(glance.requests.slice(-4).map(({ status }) => status)).to.deep.equal([200, 500, 500, 200]);
    glance.faults.next({ path: /file/, kind: 'wrong_bytes', after: 3 });
    expect((await readAll(store, id)).toString('latin1')).to.equal(`con${String.fromCharCode(0x74 ^ 0xff)}ent`);
    const other = await store.create(randomUUID(), plainImage());
    glance.faults.next({ path: /file/, kind: 'wrong_bytes', after: 0 });
    const stored = await store.write(other.id, pieces('content'), 7);
    expect(stored.checksum).to.not.equal(createHash('md5').update('content').digest('hex'));
    expect((await readAll(store, other.id)).subarray(1).toString()).to.equal('ontent');
  });
});
