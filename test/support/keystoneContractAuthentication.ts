/** Contract of a Keystone: versions, and POST /v3/auth/tokens. */
import { expect } from 'chai';
import { createKeystoneApi, inDefault, passwordLogin } from './keystoneApi.ts';
import type { Bench } from './keystoneContract.ts';

const scopedMembers = [
  'methods',
  'user',
  'audit_ids',
  'expires_at',
  'issued_at',
  'project',
  'is_domain',
  'roles',
  'catalog',
];

export function describeAuthentication(bench: () => Bench): void {
  it('names its version at / and at /v3', async () => {
    const { keystone, api } = bench();
    const root = await createKeystoneApi(keystone.url.replace(/\/v3$/, '')).call('GET', '/');
    expect(root.status).to.equal(300);
    expect(root.headers.get('location')).to.equal(`${keystone.url}/`);
    expect(root.at('versions.values.0.id')).to.match(/^v3\.\d+$/);
    expect(root.at('versions.values.0.links.0')).to.deep.equal({ rel: 'self', href: `${keystone.url}/` });
    const own = await api.call('GET', '');
    expect(own.status).to.equal(200);
    expect(own.at('version')).to.deep.equal(root.at('versions.values.0'));
  });

  it('answers a path that it does not know with 404, and a method with 405', async () => {
    const { api } = bench();
    const unknown = await api.call('GET', '/nothing');
    expect(unknown.status).to.equal(404);
    expect(unknown.headers.get('content-type')).to.match(/^text\/html/);
    const method = await api.call('PATCH', '/auth/tokens', { body: {} });
    expect(method.status).to.equal(405);
    expect(method.headers.get('allow')).to.include('DELETE');
  });

  it('issues a token for a project by password', async () => {
    const { api, newUser } = bench();
    const user = await newUser();
    const answer = await api.call('POST', '/auth/tokens', { body: user.login });
    expect(answer.status).to.equal(201);
    expect(answer.headers.get('x-subject-token')).to.match(/^gAAAA[A-Za-z0-9_-]{100,}$/);
    expect(answer.headers.get('vary')).to.equal('X-Auth-Token');
    expect(answer.headers.get('x-openstack-request-id')).to.match(/^req-[0-9a-f-]{36}$/);
    expect(Object.keys(answer.at('token') as object)).to.deep.equal(scopedMembers);
    expect(answer.at('token.methods')).to.deep.equal(['password']);
    expect(answer.at('token.user')).to.deep.equal({
      domain: { id: 'default', name: 'Default' },
      id: user.id,
      name: user.name,
      password_expires_at: null,
    });
    expect(answer.at('token.project')).to.deep.equal({ ...user.project, domain: { id: 'default', name: 'Default' } });
    const roles = answer.at('token.roles') as { name: string }[];
    expect(roles.map((role) => role.name)).to.have.members(['member', 'reader']);
    expect(answer.at('token.expires_at')).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000Z$/);
    const lifeMs = Date.parse(String(answer.at('token.expires_at'))) - Date.parse(String(answer.at('token.issued_at')));
    expect(lifeMs).to.equal(3600_000);
    expect(answer.at('token.audit_ids.0')).to.match(/^[A-Za-z0-9_-]{22}$/);
  });

  it('shows the catalog of a token by type, interface and region, and leaves it out on ?nocatalog', async () => {
    const { keystone, api, newUser } = bench();
    const { login } = await newUser();
    const full = await api.call('POST', '/auth/tokens', { body: login });
    const catalog = full.at('token.catalog') as {
      type: string;
      endpoints: { interface: string; region_id: string }[];
    }[];
    const identity = catalog.find((service) => service.type === 'identity')!;
    expect(Object.keys(identity)).to.have.members(['endpoints', 'id', 'type', 'name']);
    expect(identity.endpoints.map((endpoint) => endpoint.interface)).to.have.members(['public', 'internal', 'admin']);
    expect(identity.endpoints[0]).to.include({
      region: keystone.region,
      region_id: keystone.region,
      url: keystone.url,
    });
    const bare = await api.call('POST', '/auth/tokens?nocatalog', { body: login });
    expect(Object.keys(bare.at('token') as object)).to.deep.equal(scopedMembers.filter((name) => name !== 'catalog'));
  });

  it('takes the default project when no scope is asked for, and none with "unscoped"', async () => {
    const { api, newUser } = bench();
    const user = await newUser();
    const byDefault = await api.call('POST', '/auth/tokens', { body: passwordLogin(user.name, user.password) });
    expect(byDefault.at('token.project.id')).to.equal(user.project.id);
    const body = passwordLogin(user.name, user.password, 'unscoped');
    const unscoped = await api.call('POST', '/auth/tokens', { body });
    expect(unscoped.status).to.equal(201);
    expect(unscoped.at('token')).to.have.all.keys('methods', 'user', 'audit_ids', 'expires_at', 'issued_at');
  });

  it('issues a token for the whole system to those with a role on it only', async () => {
    const { keystone, api, newUser } = bench();
    const scope = { system: { all: true } };
    const body = passwordLogin('admin', keystone.adminPassword, scope);
    const answer = await api.call('POST', '/auth/tokens', { body });
    expect(answer.status).to.equal(201);
    expect(answer.at('token.system')).to.deep.equal({ all: true });
    expect(answer.at('token.project')).to.equal(undefined);
    const user = await newUser();
    const refused = await api.call('POST', '/auth/tokens', { body: passwordLogin(user.name, user.password, scope) });
    expect(refused.status).to.equal(401);
  });

  it('refuses wrong passwords, unknown users and foreign projects with one and the same 401', async () => {
    const { keystone, api, newUser } = bench();
    const user = await newUser();
    const bodies = [
      passwordLogin(user.name, 'wrong'),
      passwordLogin('nobody', 'wrong'),
      passwordLogin(user.name, user.password, { project: inDefault('admin') }),
      passwordLogin(user.name, user.password, { project: inDefault('no-such-project') }),
      passwordLogin(user.name, user.password, { domain: { id: 'default' } }),
    ];
    for (const body of bodies) {
      const answer = await api.call('POST', '/auth/tokens', { body });
      expect(answer.status).to.equal(401);
      expect(answer.headers.get('www-authenticate')).to.equal(`Keystone uri="${keystone.url}"`);
      expect(answer.headers.get('x-subject-token')).to.equal(null);
      expect(answer.at('error')).to.deep.equal({
        code: 401,
        message: 'The request you have made requires authentication.',
        title: 'Unauthorized',
      });
    }
  });

  it('refuses bodies that are no login with 400', async () => {
    const { api } = bench();
    const identity = { methods: ['password'] };
    const user = { name: 'admin', password: 'x' };
    const bodies = [
      ['{bad', 'Expecting to find valid JSON in request body.'],
      [{}, 'Expecting to find auth in request body.'],
      [{ auth: {} }, "'identity' is a required property"],
      [{ auth: { identity } }, 'Expecting to find password in identity.'],
      [{ auth: { identity: { ...identity, password: { user } } } }, 'Expecting to find domain in user.'],
    ] as const;
    for (const [body, message] of bodies) {
      const answer = await api.call('POST', '/auth/tokens', { body });
      expect(answer.status, message).to.equal(400);
      expect(answer.at('error.code')).to.equal(400);
      expect(answer.at('error.title')).to.equal('Bad Request');
      expect(answer.at('error.message')).to.include(message);
    }
  });

  it('issues a token for a token: same expiry, both methods, audit ids chained', async () => {
    const { api, newUser } = bench();
    const user = await newUser();
    const first = await api.call('GET', '/auth/tokens', { token: user.token, subject: user.token });
    const scope = { project: { id: user.project.id } };
    const again = (id: string) => ({ auth: { identity: { methods: ['token'], token: { id } }, scope } });
    const second = await api.call('POST', '/auth/tokens', { body: again(user.token) });
    expect(second.status).to.equal(201);
    expect(second.at('token.methods')).to.have.members(['password', 'token']);
    expect(second.at('token.expires_at')).to.equal(first.at('token.expires_at'));
    expect(second.at('token.audit_ids.1')).to.equal(first.at('token.audit_ids.0'));
    expect(second.at('token.audit_ids.0')).not.to.equal(first.at('token.audit_ids.0'));
    expect((await api.call('POST', '/auth/tokens', { body: again('gAAAAnone') })).status).to.equal(404);
  });
}
