/** The Glances of a Keystone: logins, catalogs, tokens. Regions as such are in the contract. */
import { expect } from 'chai';
import { createGlanceRegions, type GlanceRegions, type GlanceRegionsOptions } from '../../src/lproxy/glanceRegions.ts';
import { type SandboxGlance, startGlance } from '../../src/sandbox/glance.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { createShiftedClock } from '../support/clock.ts';
import { rejection } from '../support/errors.ts';
import { listAll } from '../support/glanceContract.ts';

const tokenLifeMs = 3600_000;
const inDefault = (name: string) => ({ name, domain: { name: 'Default' } });

describe('the regions of a Keystone', () => {
  let keystone: SandboxKeystone;
  let glances: SandboxGlance[];
  const clock = createShiftedClock();
  const opened: GlanceRegions[] = [];

  function login(options: Partial<GlanceRegionsOptions> = {}): GlanceRegions {
    const regions = createGlanceRegions({
      authUrl: keystone.url,
      credentials: { method: 'password', user: inDefault('demo'), password: keystone.demoPassword },
      scope: { project: inDefault('demo') },
      clock,
      ...options,
    });
    opened.push(regions);
    return regions;
  }

  const logins = () =>
    keystone.requests.filter(({ method, path }) => method === 'POST' && path.startsWith('/v3/auth/tokens')).length;

  beforeEach(async () => {
    keystone = await startSandboxKeystone({ clock, tokenLifeMs });
    glances = [await startGlance({ keystone, clock }), await startGlance({ keystone, clock, region: 'Burgos' })];
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
    await Promise.all(glances.map((glance) => glance.close()));
    await keystone.stop();
  });

  it('are reached with one login, which is renewed before it ends', async () => {
    const regions = login();
    const stores = await Promise.all(['RegionOne', 'Burgos'].map((region) => regions.store(region)));
    await Promise.all(stores.map((store) => listAll(store)));
    // Each Glance has a login of its own.
    expect(logins()).to.equal(1 + glances.length);
    clock.advance(tokenLifeMs + 1000);
    await Promise.all(stores.map((store) => listAll(store)));
    expect(logins()).to.equal(2 * (1 + glances.length));
  });

  it('are asked with a new token where the old one was revoked', async () => {
    const store = await login().store('Burgos');
    await listAll(store);
    const user = [...keystone.state.users.values()].find(({ name }) => name === 'demo')!;
    clock.advance(400_000);
    keystone.state.revoke({ userId: user.id });
    clock.advance(2000);
    expect(await listAll(store)).to.deep.equal([]);
  });

  it('are those of the wanted interface, under the names of the catalog', async () => {
    const service = [...keystone.state.services.values()].find(({ type }) => type === 'image')!;
    const url = 'http://glance.invalid/%(tenant_id)s';
    keystone.state.addEndpoint({ serviceId: service.id, interface: 'internal', regionId: 'inner', url });
    expect(await login().regions()).to.deep.equal(['RegionOne', 'Burgos']);
    expect(await login({ interface: 'internal' }).regions()).to.deep.equal(['RegionOne', 'Burgos', 'inner']);
    expect(await login({ interface: 'internal' }).endpoint('inner')).to.match(
      /^http:\/\/glance\.invalid\/[0-9a-f]{32}$/,
    );
    await rejection(login().store('inner'), 'region_not_found');
  });

  it('follow a catalog that changes', async () => {
    const regions = login();
    const before = await regions.store('Burgos');
    const [, burgos] = glances;
    await burgos!.close();
    glances[1] = await startGlance({ keystone, clock, region: 'Burgos' });
    clock.advance(61_000);
    const after = await regions.store('Burgos');
    expect(after).to.not.equal(before);
    expect(await listAll(after)).to.deep.equal([]);
  });

  it('have labels, and say whether images may be public', async () => {
    const admin = { method: 'password', user: inDefault('admin'), password: keystone.adminPassword } as const;
    const cases: [Partial<GlanceRegionsOptions>, string, boolean][] = [
      [{}, 'Burgos', false],
      [{ label: 'other' }, 'other:Burgos', false],
      [{ publishes: true }, 'Burgos', true],
      [{ credentials: admin, scope: { project: inDefault('admin') } }, 'Burgos', true],
      [{ credentials: admin, scope: { project: inDefault('admin') }, publishes: false }, 'Burgos', false],
    ];
    for (const [options, label, publishes] of cases)
      expect(await login(options).store('Burgos')).to.include({ label, publishes });
  });

  it('are none without a project', async () => {
    const admin = { method: 'password', user: inDefault('admin'), password: keystone.adminPassword } as const;
    await rejection(login({ credentials: admin, scope: { system: { all: true } } }).projectId(), 'glance_refused');
    await rejection(login({ credentials: admin, scope: { system: { all: true } } }).store('Burgos'), 'glance_refused');
  });
});
