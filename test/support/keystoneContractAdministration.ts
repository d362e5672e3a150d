/** Contract of a Keystone: changing and removing what its administrator made. */
import { expect } from 'chai';
import { type JsonObject, passwordLogin } from './keystoneApi.ts';
import type { Bench } from './keystoneContract.ts';

export function describeAdministration(bench: () => Bench): void {
  const asAdmin = (method: string, path: string, body?: unknown) =>
    bench().api.call(method, path, { token: bench().admin, ...(body !== undefined && { body }) });
  const unique = (word: string) => `${word}-${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`;

  it('has domains, whose users log in by its name, until it is disabled', async () => {
    const { api, admin } = bench();
    const name = unique('domain');
    const domain = await api.create(admin, 'domain', { name, description: 'd' });
    expect(domain).to.include({ name, description: 'd', enabled: true });
    expect((await asAdmin('POST', '/domains', { domain: { name } })).status).to.equal(409);
    await api.create(admin, 'user', { name: 'someone', domain_id: domain.id, password: 'word' });
    const user = { name: 'someone', domain: { name }, password: 'word' };
    const body = { auth: { identity: { methods: ['password'], password: { user } } } };
    expect((await api.call('POST', '/auth/tokens', { body })).at('token.user.domain')).to.deep.equal({
      id: domain.id,
      name,
    });
    expect((await asAdmin('DELETE', `/domains/${domain.id}`)).status).to.equal(403);
    const changed = await asAdmin('PATCH', `/domains/${domain.id}`, { domain: { enabled: false } });
    expect(changed.at('domain.enabled')).to.equal(false);
    expect((await api.call('POST', '/auth/tokens', { body })).status).to.equal(401);
    expect((await asAdmin('DELETE', `/domains/${domain.id}`)).status).to.equal(204);
  });

  it('gives a token for a domain to those with a role there', async () => {
    const { api, admin, newUser } = bench();
    const user = await newUser();
    const role = await api.roleId(admin, 'reader');
    const body = passwordLogin(user.name, user.password, { domain: { id: 'default' } });
    expect((await api.call('POST', '/auth/tokens', { body })).status).to.equal(401);
    expect((await asAdmin('PUT', `/domains/default/users/${user.id}/roles/${role}`)).status).to.equal(204);
    const answer = await api.call('POST', '/auth/tokens', { body });
    expect(answer.at('token.domain')).to.deep.equal({ id: 'default', name: 'Default' });
    const token = answer.headers.get('x-subject-token')!;
    const domains = (await api.call('GET', '/auth/domains', { token })).at('domains') as JsonObject[];
    expect(domains.map(({ id }) => id)).to.deep.equal(['default']);
    const search = `user.id=${user.id}&scope.domain.id=default`;
    expect((await asAdmin('GET', `/role_assignments?${search}`)).at('role_assignments')).to.have.length(1);
    await asAdmin('DELETE', `/domains/default/users/${user.id}/roles/${role}`);
  });

  it('lets a reader of the system read everything, and change nothing', async () => {
    const { api, admin, newUser } = bench();
    const user = await newUser();
    const role = await api.roleId(admin, 'reader');
    const path = `/system/users/${user.id}/roles`;
    expect((await asAdmin('PUT', `${path}/${role}`)).status).to.equal(204);
    expect((await asAdmin('GET', path)).at('roles')).to.have.length(1);
    const token = await api.login(passwordLogin(user.name, user.password, { system: { all: true } }));
    expect((await api.call('GET', '/auth/tokens', { token, subject: admin })).status).to.equal(200);
    expect((await api.call('GET', '/services', { token })).status).to.equal(200);
    const body = { service: { type: 'none' } };
    expect((await api.call('POST', '/services', { token, body })).status).to.equal(403);
    const assigned = (await asAdmin('GET', `/role_assignments?user.id=${user.id}`)).at('role_assignments');
    const scopes = (assigned as { scope: JsonObject }[]).map(({ scope }) => Object.keys(scope)[0]);
    expect(scopes).to.have.members(['project', 'system']);
  });

  it('renames and describes users, projects, roles, services, endpoints and regions', async () => {
    const { keystone, api, admin, newUser } = bench();
    const user = await newUser();
    const name = unique('renamed');
    const service = await api.create(admin, 'service', { type: 'volume' });
    const values = { service_id: service.id, interface: 'admin', url: 'http://127.0.0.1:1' };
    const endpoint = await api.create(admin, 'endpoint', { ...values, region: keystone.region });
    const region = await api.create(admin, 'region', { id: unique('region'), description: 'a' });
    const role = await api.create(admin, 'role', { name: unique('role') });
    const changes: readonly [string, string, JsonObject][] = [
      ['user', user.id, { name, email: 'a@example.org', description: 'someone' }],
      ['project', user.project.id, { name, description: 'ours' }],
      ['service', service.id, { name, description: 'disks', type: 'block-storage' }],
      ['endpoint', endpoint.id, { url: 'http://127.0.0.1:2', interface: 'public' }],
      ['region', region.id, { description: 'b' }],
      ['role', role.id, { description: 'c' }],
    ];
    for (const [kind, id, change] of changes) {
      const answer = await asAdmin('PATCH', `/${kind}s/${id}`, { [kind]: change });
      expect(answer.status, kind).to.equal(200);
      expect(answer.at(kind), kind).to.include({ id, ...change });
      expect((await asAdmin('GET', `/${kind}s/${id}`)).at(kind), kind).to.include({ id, ...change });
    }
    const projects = (await api.call('GET', `/users/${user.id}/projects`, { token: admin })).at('projects');
    expect((projects as JsonObject[]).map((each) => each.name)).to.deep.equal([name]);
    for (const [kind, id] of [...changes].reverse()) {
      expect((await asAdmin('DELETE', `/${kind}s/${id}`)).status, kind).to.be.oneOf([204, 404]);
      expect((await asAdmin('GET', `/${kind}s/${id}`)).status, kind).to.equal(404);
    }
  });

  it('keeps names apart, and the roles it was made with', async () => {
    const { keystone, api, admin } = bench();
    const region = { id: keystone.region };
    expect((await asAdmin('POST', '/regions', { region })).status).to.equal(409);
    expect((await asAdmin('POST', '/roles', { role: { name: 'member' } })).status).to.equal(409);
    const refused = await asAdmin('DELETE', `/roles/${await api.roleId(admin, 'member')}`);
    expect(refused.status).to.equal(403);
    expect((await asAdmin('POST', '/services', { service: { type: '' } })).status).to.equal(400);
  });

  it('makes application credentials with fewer roles, for a time, by a secret of the user', async () => {
    const { api, newUser } = bench();
    const user = await newUser();
    const path = `/users/${user.id}/application_credentials`;
    const add = (values: object) =>
      api.call('POST', path, { token: user.token, body: { application_credential: values } });
    const values = { name: 'few', secret: 'chosen', expires_at: '2100-01-01T00:00:00', roles: [{ name: 'reader' }] };
    const made = await add(values);
    expect(made.status).to.equal(201);
    expect(made.at('application_credential.expires_at')).to.equal('2100-01-01T00:00:00.000000');
    const credential = { id: made.at('application_credential.id'), secret: 'chosen' };
    const identity = { methods: ['application_credential'], application_credential: credential };
    const login = await api.call('POST', '/auth/tokens', { body: { auth: { identity } } });
    expect((login.at('token.roles') as JsonObject[]).map(({ name }) => name)).to.deep.equal(['reader']);
    expect((await add({ name: 'more', roles: [{ name: 'admin' }] })).status).to.equal(400);
    expect((await add({ name: 'never', expires_at: 'sometime' })).status).to.equal(400);
    const list = await api.call('GET', path, { token: user.token });
    expect(list.at('application_credentials')).to.have.length(1);
    expect(list.text).not.to.include('chosen');
  });
}
