/** The stock service against the embedded Keystone, and against answers that no Keystone gives. */
import { expect } from 'chai';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import {
  type SandboxService,
  type SandboxServiceOptions,
  startSandboxService,
  type WhoAmI,
} from '../../src/sandbox/service.ts';
import { createShiftedClock } from '../support/clock.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../support/keystoneApi.ts';
import { startWebServer } from '../support/webServer.ts';

describe('sandbox/service', () => {
  let keystone: SandboxKeystone;
  const services: SandboxService[] = [];
  const clock = createShiftedClock();

  const start = async (options: Partial<SandboxServiceOptions> = {}): Promise<SandboxService> => {
    const account = { username: 'admin', password: keystone.adminPassword, projectName: 'admin' };
    const service = await startSandboxService({ authUrl: keystone.url, ...account, clock, ...options });
    services.push(service);
    return service;
  };
  const logIn = () =>
    createKeystoneApi(keystone.url).login(passwordLogin('demo', keystone.demoPassword, { project: inDefault('demo') }));
  const ask = ({ url }: SandboxService, token?: string, path = '/', body?: unknown) =>
    fetch(url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...(token && { 'x-auth-token': token }), 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
  const logOut = (token: string) =>
    createKeystoneApi(keystone.url).must('DELETE', '/auth/tokens', { token, subject: token });
  const asked = () => keystone.requests.map(({ method, path }) => `${method} ${path}`);

  beforeEach(async () => {
    keystone = await startSandboxKeystone({ region: 'west', clock });
  });
  afterEach(async () => {
    for (const service of services.splice(0)) await service.stop();
    await keystone.stop();
  });

  it('makes the calls of the real middleware, in their order, and says who its caller is', async () => {
    const [token, service] = [await logIn(), await start({ authUrl: keystone.url.replace('/v3', '') })];
    const before = asked().length;
    const answer = await ask(service, token);
    expect(answer.status).to.equal(200);
    const { user, project, roles } = (await answer.json()) as WhoAmI;
    expect([user, project, [...roles].sort()]).to.deep.equal(['demo', 'demo', ['member', 'reader']]);
    expect(asked().slice(before)).to.deep.equal(['GET /', 'POST /v3/auth/tokens', 'GET /v3/auth/tokens']);
  });

  it('keeps a list for each project, for those with the role member', async () => {
    const [token, service] = [await logIn(), await start()];
    const admin = await createKeystoneApi(keystone.url).login(
      passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }),
    );
    expect((await ask(service, token, '/words', { word: 'hello' })).status).to.equal(201);
    expect(await (await ask(service, token, '/words')).json()).to.deep.equal({ words: ['hello'] });
    expect(await (await ask(service, admin, '/words')).json()).to.deep.equal({ words: [] });
    expect((await ask(service, token, '/words', { word: 'x'.repeat(256) })).status).to.equal(400);
    const role = [...keystone.state.roles.values()].find(({ name }) => name === 'member')!;
    role.name = 'other';
    const later = await logIn();
    expect((await ask(service, later, '/words', { word: 'no' })).status).to.equal(403);
  });

  it('answers 401 to nobody, to an unknown token, and to an expired one', async () => {
    const [token, service] = [await logIn(), await start()];
    expect((await ask(service)).status).to.equal(401);
    expect((await ask(service, 'gAAAAAunknown')).status).to.equal(401);
    expect((await ask(service, token)).status).to.equal(200);
    clock.advance(299_000);
    expect((await ask(service, token)).status).to.equal(200);
  });

  it('remembers an answer for token_cache_time, looks at its expiry each time, and not at revocations meanwhile', async () => {
    const [token, service] = [await logIn(), await start({ tokenCacheTimeS: 4000 })];
    expect((await ask(service, token)).status).to.equal(200);
    await logOut(token);
    const before = asked().length;
    expect((await ask(service, token)).status).to.equal(200);
    clock.advance(3601_000);
    expect((await ask(service, token)).status).to.equal(401);
    expect(asked().length).to.equal(before);
    clock.advance(400_000);
    expect((await ask(service, token)).status).to.equal(401);
    expect(asked().length).to.be.greaterThan(before);
  });

  it('asks each time with a token_cache_time of 0', async () => {
    const [token, service] = [await logIn(), await start({ tokenCacheTimeS: 0 })];
    expect((await ask(service, token)).status).to.equal(200);
    await logOut(token);
    expect((await ask(service, token)).status).to.equal(401);
  });

  it('logs in again when its own token has ended, once', async () => {
    const [, service] = [await logIn(), await start()];
    expect((await ask(service, await logIn())).status).to.equal(200);
    clock.advance(3601_000);
    const before = asked().length;
    expect((await ask(service, await logIn())).status).to.equal(200);
    const calls = asked().slice(before + 1);
    expect(calls).to.deep.equal(['GET /v3/auth/tokens', 'POST /v3/auth/tokens', 'GET /v3/auth/tokens']);
  });

  it('answers 503 while Keystone does not answer, fails or refuses the login, and 200 after that', async () => {
    const [token, service] = [await logIn(), await start()];
    for (const fault of ['down', '500'] as const) {
      keystone.faults.always(fault);
      expect((await ask(service, token)).status).to.equal(503);
    }
    keystone.faults.clear();
    expect((await ask(service, token)).status).to.equal(200);
    expect((await ask(await start({ password: 'wrong' }), token)).status).to.equal(503);
    for (const interfaceName of ['elsewhere', 'public'] as const) {
      const other = await start({ interface: interfaceName, regionName: 'west' });
      expect((await ask(other, token)).status).to.equal(interfaceName === 'public' ? 200 : 503);
    }
    expect((await ask(await start({ regionName: 'east' }), token)).status).to.equal(503);
  });

  it('answers 503 to what is no Keystone', async () => {
    for (const [status, body] of [
      [200, 'hello'],
      [200, '{}'],
      [404, '{}'],
    ] as const) {
      const web = await startWebServer((_request, response) => response.writeHead(status).end(body));
      expect((await ask(await start({ authUrl: web.url }), 'token')).status).to.equal(503);
      await web.stop();
    }
  });

  it('refuses access rules, which it does not enforce', async () => {
    const path = '/auth/tokens';
    const web = await startWebServer((request, response) => {
      const base = `http://${request.headers.host}/v3`;
      const endpoints = [{ interface: 'internal', region: 'west', url: base }];
      const user = { id: 'u', name: 'demo', domain: { id: 'd', name: 'D' } };
      const expires_at = new Date(clock.now() + 60_000).toISOString();
      const credential = request.headers['x-subject-token'] === 'rules' ? { access_rules: [] } : {};
      const bodies = new Map<string, [number, object]>([
        ['GET /v3', [200, { version: { id: 'v3.14', links: [{ rel: 'self', href: `${base}/` }] } }]],
        [`POST /v3${path}`, [201, { token: { catalog: [{ type: 'identity', endpoints }] } }]],
        [`GET /v3${path}`, [200, { token: { expires_at, user, application_credential: credential } }]],
      ]);
      const [status, body] = bodies.get(`${request.method} ${request.url}`)!;
      response.writeHead(status, { 'x-subject-token': 'own' }).end(JSON.stringify(body));
    });
    const service = await start({ authUrl: `${web.url}/v3` });
    expect(await (await ask(service, 'plain')).json()).to.deep.equal({ user: 'demo', project: null, roles: [] });
    expect((await ask(service, 'rules')).status).to.equal(401);
    await web.stop();
  });
});
