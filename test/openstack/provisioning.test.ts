/** A project that one cloud has another make: two brokers, two real Keystones, and users of the one in the other's facade. */
import { expect } from 'chai';
import { endTrust } from '../../src/broker/partners.ts';
import { askForProject, giveBackProject } from '../../src/broker/provisions.ts';
import { tendProvisions } from '../../src/broker/provisionTask.ts';
import { requestTagPrefix } from '../../src/model/provision.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';
import { lendKeystone, type RealKeystone } from './support.ts';

const password = 'correct horse battery staple';
/** Names of its own, for the Keystones are those of other tests, too. */
const name = 'prov-shop';

interface Realm {
  readonly keystone: RealKeystone;
  readonly api: KeystoneApi;
  readonly admin: string;
}

async function borrow(region: string): Promise<Realm> {
  const keystone = await lendKeystone({ region });
  const api = createKeystoneApi(keystone.url);
  const admin = await api.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
  return { keystone, api, admin };
}

describe('provisioning between real Keystones', function () {
  this.timeout(120_000);
  let eastern: Realm;
  let western: Realm;
  let east: Cloud;
  let west: Cloud;
  /** Ids of users of west. */
  const users: Record<string, string> = {};

  before(async function () {
    this.timeout(240_000);
    [eastern, western] = await Promise.all([borrow('east'), borrow('west')]);
    const home = await western.api.create(western.admin, 'project', { name: 'prov-home', domain_id: 'default' });
    for (const user of ['prov-ann', 'prov-bob']) {
      users[user] = (
        await western.api.create(western.admin, 'user', { name: user, domain_id: 'default', password })
      ).id;
      await western.api.grant(western.admin, home.id, users[user], 'member');
    }
    const env = {
      ALLIANCE_FACADE__LISTEN: '127.0.0.1:0',
      ALLIANCE_PARTNERS__WEST__PROVISION__PROJECTS: '2',
      ALLIANCE_PARTNERS__WEST__PROVISION__NAME_PATTERN: 'prov-.*',
      ALLIANCE_PARTNERS__WEST__PROVISION__ROLES: 'member,reader',
    };
    const pauses = { provisionMs: 3600_000 };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', keystone: eastern.keystone, env, pauses }),
      startCloud({ cloudId: 'west', keystone: western.keystone, pauses }),
    ]);
    await pairClouds(east, west, { role: 'both' });
    // Everybody of west is somebody, and the project is named: who gets in is for provisioning to say.
    const projects = [{ name, roles: [{ name: 'reader' }] }];
    const rules = [{ remote: [{ type: 'openstack_user' }], local: [{ user: { name: '{0}' } }, { projects }] }];
    await east.installation.store.mappings.set((await east.partner('west')).uid, JSON.stringify(rules));
    await east.installation.view.refresh();
  });
  after(stopClouds);

  const ask = async (requestId: string, wanted = name) => {
    const content = { name: wanted, userId: users['prov-ann']!, roles: ['member'], expiresAt: null };
    return askForProject(west.installation, await west.partner('east'), requestId, content);
  };
  const projectsNamed = async (wanted = name) => {
    const found = await eastern.api.must('GET', `/projects?name=${wanted}`, { token: eastern.admin });
    return found.at('projects') as { id: string; domain_id: string; enabled: boolean; tags: string[] }[];
  };
  async function enter(user: string) {
    const token = await western.api.login(passwordLogin(user, password, { project: inDefault('prov-home') }));
    const { host, port } = east.broker.addresses.facade!;
    const facade = createKeystoneApi(`http://${host}:${port}/v3`);
    return facade.call('GET', '/auth/tokens', { token: eastern.admin, subject: `a1.west.${token}` });
  }

  it('makes a tagged project once, and its user alone gets in', async () => {
    const made = await ask('prov-1');
    expect(made).to.deep.include({ state: 'active', roles: ['member'], domainId: 'default' });
    expect((await ask('prov-1')).projectId).to.equal(made.projectId);
    const [project, ...more] = await projectsNamed();
    expect(more).to.deep.equal([]);
    expect(project).to.deep.include({ id: made.projectId, domain_id: 'default', enabled: true });
    expect(project!.tags).to.include.members(['alliance', 'alliance-partner:west']);
    expect(project!.tags.filter((tag) => tag.startsWith(requestTagPrefix))).to.have.length(1);

    const answer = await until('its user gets in', async () => {
      const tried = await enter('prov-ann');
      return tried.status === 200 && tried;
    });
    expect(answer.at('token.project.id')).to.equal(made.projectId);
    expect((answer.at('token.roles') as { name: string }[]).map((role) => role.name)).to.include('member');
    expect((await enter('prov-bob')).status, 'another user, whom a rule leads there').to.equal(404);
  });

  it('takes no name that is there, and none that is kept', async () => {
    await rejection(ask('prov-2', name), 'provision_refused');
    await rejection(ask('prov-3', 'admin'), 'provision_refused');
  });

  it('removes what is given back, and switches off what is left when the trust ends', async () => {
    const [given, left] = [await ask('prov-1'), await ask('prov-4', 'prov-left')];
    expect(await giveBackProject(west.installation, await west.partner('east'), given)).to.equal('given back');
    expect(await projectsNamed()).to.deep.equal([]);
    const place = async () => (await enter('prov-ann')).at('token.project.id');
    await until('its user is in the other one', async () => (await place()) === left.projectId, 40_000);
    await endTrust(east.installation, await east.partner('west'), 'revoked');
    await tendProvisions(east.installation, east.broker.keystone!);
    expect((await enter('prov-ann')).status).to.equal(404);
    const [off] = await projectsNamed('prov-left');
    expect(off).to.deep.include({ id: left.projectId, enabled: false });
    await eastern.api.must('DELETE', `/projects/${left.projectId}`, { token: eastern.admin });
  });
});
