/** Contract of a Keystone: what a foreign user's body says of project, roles and catalog is what Keystone says of its own users. */
import { expect } from 'chai';
import type { ClientPool } from '../../src/client/pool.ts';
import { systemClock } from '../../src/core/clock.ts';
import { loadConfig } from '../../src/core/config.ts';
import { silentLogger } from '../../src/core/log.ts';
import { createKeystone } from '../../src/lproxy/keystone.ts';
import { createLocaliser } from '../../src/token/localise.ts';
import { temporaryDirectory } from './directory.ts';
import { inDefault, type JsonObject } from './keystoneApi.ts';
import type { Bench } from './keystoneContract.ts';
import { createTestFile, newPartner } from './store.ts';

const domain = { id: 'd-east', name: 'East' };
const foreignToken = {
  methods: ['password'],
  user: { id: 'u-east', name: 'ann', domain },
  audit_ids: ['audit-1'],
  expires_at: '2099-01-01T01:00:00.000000Z',
  issued_at: '2030-01-01T00:00:00.000000Z',
  project: { id: 'p-east', name: 'lab', domain },
  roles: [{ id: 'r-east', name: 'member' }],
};

const byId = (items: unknown): JsonObject[] =>
  [...(items as JsonObject[])].sort((a, b) => String(a.id).localeCompare(String(b.id)));

const catalogOf = (token: JsonObject) =>
  byId(token.catalog).map((service) => ({ ...service, endpoints: byId(service.endpoints) }));

export function describeLocalise(bench: () => Bench): void {
  it('gives a reader of the system what a foreign body needs: project, roles and catalog as of a local user', async () => {
    const { api, admin, keystone: running, newUser } = bench();
    const local = await newUser('member');
    const broker = await newUser();
    const reader = await api.roleId(admin, 'reader');
    await api.must('PUT', `/system/users/${broker.id}/roles/${reader}`, { token: admin });
    const service = await api.create(admin, 'service', { type: 'volume', name: 'cinder' });
    for (const template of ['$(project_id)s', '%(tenant_id)s', 'plain'])
      await api.create(admin, 'endpoint', {
        service_id: service.id,
        interface: 'public',
        region: running.region,
        url: `http://127.0.0.1:1/v3/${template}`,
      });

    const directory = temporaryDirectory();
    const file = createTestFile();
    const user = inDefault(broker.name);
    const keystone = createKeystone({
      authUrl: running.url,
      credentials: { method: 'password', user, password: broker.password },
      scope: { system: { all: true } },
    });
    try {
      const store = await file.open();
      const partner = await store.partners.add(newPartner('east'));
      const projects = [{ name: local.project.name, roles: [{ name: 'member' }, { name: 'admin' }] }];
      const rule = { remote: [{ type: 'openstack_user' }], local: [{ user: { name: '{0}' }, projects }] };
      await store.mappings.set(partner.uid, JSON.stringify([rule]));
      const config = loadConfig({ home: directory.path, env: { ALLIANCE_CLOUD_ID: 'west' } });
      const localiser = createLocaliser({
        keystone,
        store,
        provisions: store.provisions,
        view: { epoch: 0 },
        // No partner is asked, as no endpoints of it are to be shown.
        pool: {} as ClientPool,
        config: () => config,
        clock: systemClock,
        log: silentLogger,
      });
      const body = JSON.stringify({ token: foreignToken });
      const found = await localiser.localise({ partner, body, source: 'live' }, { catalog: true, accessRules: false });
      if (found.kind === 'denied') throw new Error(`${found.reason}: ${found.details}`);
      const { token } = JSON.parse(found.body) as { token: JsonObject };
      const own = await api.must('GET', '/auth/tokens', { token: admin, subject: local.token });
      const expected = own.at('token') as JsonObject;
      expect(token.project).to.deep.equal(expected.project);
      expect(byId(token.roles)).to.deep.equal(byId(expected.roles));
      expect(catalogOf(token)).to.deep.equal(catalogOf(expected));
      expect(Object.keys(token)).to.include.members(Object.keys(expected));
    } finally {
      await keystone.close();
      await file.remove();
      directory.remove();
    }
  });
}
