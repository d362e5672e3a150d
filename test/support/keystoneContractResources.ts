/** Contract of a Keystone: the catalog's resources, users and projects, roles, application credentials. */
import { expect } from 'chai';
import type { JsonObject } from './keystoneApi.ts';
import type { Bench, BenchUser } from './keystoneContract.ts';

interface NewCredential {
  readonly id: string;
  readonly secret: string;
}

export function describeResources(bench: () => Bench): void {
  const asAdmin = (method: string, path: string, body?: unknown) =>
    bench().api.call(method, path, { token: bench().admin, ...(body !== undefined && { body }) });

  it('keeps services and endpoints, and fills in the project in URLs of the catalog', async () => {
    const { keystone, api, admin, newUser } = bench();
    const service = await api.create(admin, 'service', { type: 'object-store', name: 'swift', description: 'Objects' });
    expect(service).to.include({ type: 'object-store', name: 'swift', description: 'Objects', enabled: true });
    const url = 'http://127.0.0.1:1/v1/AUTH_$(project_id)s';
    const values = { service_id: service.id, interface: 'public', url, region: keystone.region };
    const endpoint = await api.create(admin, 'endpoint', values);
    expect(endpoint).to.include({ ...values, region_id: keystone.region, enabled: true });
    expect(endpoint.links).to.deep.equal({ self: `${keystone.url}/endpoints/${endpoint.id}` });

    const user = await newUser();
    const catalog = await api.call('GET', '/auth/catalog', { token: user.token });
    const found = (catalog.at('catalog') as { type: string; endpoints: JsonObject[] }[]).find(
      ({ type }) => type === 'object-store',
    );
    expect(found?.endpoints[0]).to.deep.equal({
      id: endpoint.id,
      interface: 'public',
      region_id: keystone.region,
      region: keystone.region,
      url: `http://127.0.0.1:1/v1/AUTH_${user.project.id}`,
    });

    await asAdmin('PATCH', `/endpoints/${endpoint.id}`, { endpoint: { enabled: false } });
    expect((await api.call('GET', '/auth/catalog', { token: user.token })).text).not.to.include(endpoint.id);
    expect((await asAdmin('DELETE', `/services/${service.id}`)).status).to.equal(204);
    expect((await asAdmin('GET', `/endpoints/${endpoint.id}`)).status).to.equal(404);
  });

  it('narrows lists by what is asked for, and links to itself', async () => {
    const { keystone } = bench();
    const services = await asAdmin('GET', '/services?type=identity');
    expect(services.status).to.equal(200);
    const self = `${keystone.url}/services?type=identity`;
    expect(services.at('links')).to.deep.equal({ next: null, self, previous: null });
    expect((services.at('services') as JsonObject[]).map(({ type }) => type)).to.deep.equal(['identity']);
    const id = services.at('services.0.id');
    const endpoints = await asAdmin('GET', `/endpoints?service_id=${id}&interface=internal`);
    expect((endpoints.at('endpoints') as JsonObject[]).map((each) => each.interface)).to.deep.equal(['internal']);
    expect((await asAdmin('GET', '/endpoints?region_id=nowhere')).at('endpoints')).to.deep.equal([]);
    const regions = (await asAdmin('GET', '/regions')).at('regions') as JsonObject[];
    const region = regions.find((each) => each.id === keystone.region);
    expect(region).to.include({ description: '', parent_region_id: null });
  });

  it('refuses what does not fit: unknown service, unknown id, a name that is taken', async () => {
    const { newUser } = bench();
    const endpoint = { service_id: 'none', interface: 'public', url: 'http://127.0.0.1:1' };
    expect((await asAdmin('POST', '/endpoints', { endpoint })).status).to.equal(400);
    const unknown = await asAdmin('GET', '/services/none');
    expect(unknown.status).to.equal(404);
    expect(unknown.at('error.message')).to.equal('Could not find service: none.');
    const user = await newUser();
    expect((await asAdmin('POST', '/users', { user: { name: user.name } })).status).to.equal(409);
    expect((await asAdmin('POST', '/projects', { project: { name: user.project.name } })).status).to.equal(409);
    expect((await asAdmin('POST', '/users', { user: { password: 'x' } })).status).to.equal(400);
    expect((await asAdmin('DELETE', '/roles/none')).status).to.equal(404);
  });

  it('keeps plain users away from what is not theirs', async () => {
    const { api, newUser } = bench();
    const user = await newUser();
    const by = (path: string) => api.call('GET', path, { token: user.token });
    for (const path of ['/services', '/endpoints', '/users', '/projects', '/domains', '/role_assignments'])
      expect((await by(path)).status, path).to.equal(403);
    expect((await api.call('GET', '/services')).status).to.equal(401);
    expect((await by('/regions')).status).to.equal(200);
    expect((await by(`/users/${user.id}`)).at('user.name')).to.equal(user.name);
    const projects = (await by('/auth/projects')).at('projects') as JsonObject[];
    expect(projects.map(({ id }) => id)).to.deep.equal([user.project.id]);
  });

  it('gives and withdraws roles', async () => {
    const { api, admin, newUser } = bench();
    const user = await newUser();
    const role = await api.roleId(admin, 'reader');
    const path = `/projects/${user.project.id}/users/${user.id}/roles`;
    expect((await asAdmin('HEAD', `${path}/${role}`)).status).to.equal(404);
    expect((await asAdmin('PUT', `${path}/${role}`)).status).to.equal(204);
    expect((await asAdmin('HEAD', `${path}/${role}`)).status).to.equal(204);
    expect((await asAdmin('PUT', `${path}/none`)).status).to.equal(404);
    const names = ((await asAdmin('GET', path)).at('roles') as JsonObject[]).map(({ name }) => name);
    expect(names).to.have.members(['member', 'reader']);
    const search = `user.id=${user.id}&scope.project.id=${user.project.id}&include_names`;
    const assigned = (await asAdmin('GET', `/role_assignments?${search}`)).at('role_assignments') as JsonObject[];
    expect(assigned).to.have.length(2);
    expect(assigned[0]?.user).to.deep.include({ id: user.id, name: user.name });
    expect((await asAdmin('DELETE', `${path}/${role}`)).status).to.equal(204);
    expect((await asAdmin('DELETE', `${path}/${role}`)).status).to.equal(404);
  });

  describe('application credentials', () => {
    const path = (user: BenchUser) => `/users/${user.id}/application_credentials`;
    const add = (user: BenchUser, token: string, values: object = {}) =>
      bench().api.call('POST', path(user), { token, body: { application_credential: { name: 'own', ...values } } });
    const login = (credential: object, scope?: object) => {
      const identity = { methods: ['application_credential'], application_credential: credential };
      return bench().api.call('POST', '/auth/tokens', { body: { auth: { identity, ...(scope && { scope }) } } });
    };

    it('are made by their user, show the secret once, and log in to their project', async () => {
      const { api, newUser } = bench();
      const user = await newUser();
      const made = await add(user, user.token);
      expect(made.status).to.equal(201);
      const { id, secret } = made.at('application_credential') as NewCredential;
      expect(secret).to.match(/^[A-Za-z0-9_-]{80,}$/);
      expect(made.at('application_credential')).to.include({ user_id: user.id, project_id: user.project.id });
      const shown = await api.call('GET', `${path(user)}/${id}`, { token: user.token });
      expect(shown.status).to.equal(200);
      expect(shown.text).not.to.include(secret);

      const byId = await login({ id, secret });
      expect(byId.status).to.equal(201);
      expect(byId.at('token.methods')).to.deep.equal(['application_credential']);
      expect(byId.at('token.project.id')).to.equal(user.project.id);
      expect(byId.at('token.application_credential')).to.deep.equal({ id, name: 'own', restricted: true });
      const owner = { name: user.name, domain: { id: 'default' } };
      expect((await login({ name: 'own', user: owner, secret })).status).to.equal(201);
    });

    it('refuse another secret, a scope, other makers and offspring', async () => {
      const { admin, newUser } = bench();
      const user = await newUser();
      const { id, secret } = (await add(user, user.token)).at('application_credential') as NewCredential;
      expect((await login({ id, secret: 'wrong' })).status).to.equal(401);
      expect((await login({ id, secret }, { project: { id: user.project.id } })).status).to.equal(401);
      expect((await add(user, admin, { name: 'second' })).status).to.equal(403);
      expect((await add(user, user.token)).status).to.equal(409);
      const token = (await login({ id, secret })).headers.get('x-subject-token')!;
      expect((await add(user, token, { name: 'third' })).status).to.equal(403);
    });

    it('end their tokens when they are deleted', async () => {
      const { api, admin, newUser } = bench();
      const user = await newUser();
      const { id, secret } = (await add(user, user.token)).at('application_credential') as NewCredential;
      const subject = (await login({ id, secret })).headers.get('x-subject-token')!;
      const status = async () => (await api.call('GET', '/auth/tokens', { token: admin, subject })).status;
      expect(await status()).to.equal(200);
      expect((await api.call('DELETE', `${path(user)}/${id}`, { token: user.token })).status).to.equal(204);
      expect(await status()).to.equal(404);
      expect((await login({ id, secret })).status).to.equal(404);
      const owner = { name: user.name, domain: { id: 'default' } };
      expect((await login({ name: 'own', user: owner, secret })).status).to.equal(401);
      expect((await login({ name: 'own', user: { ...owner, name: 'nobody' }, secret })).status).to.equal(404);
    });
  });
}
