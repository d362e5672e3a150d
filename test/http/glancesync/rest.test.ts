/** GlanceSync's REST API over HTTP, with tokens of a Keystone; what is behind it is in memory here, and real in test/broker/imageRest.test.ts. */
import { connect } from 'node:net';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { imageRestLimits } from '../../../src/core/limits.ts';
import { createLogger } from '../../../src/core/log.ts';
import { openApi } from '../../../src/http/glancesync/openapi.ts';
import type { ImageStatus, RestTask, SyncService } from '../../../src/http/glancesync/service.ts';
import { createMetrics } from '../../../src/http/metrics.ts';
import { type HttpFace, startHttp } from '../../../src/http/server.ts';
import { createKeystone, type Keystone } from '../../../src/lproxy/keystone.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../../support/keystoneApi.ts';

const image: ImageStatus = { id: 'i1', name: 'ubuntu', status: 'ok', message: null };
const missing: ImageStatus = { id: null, name: 'cirros', status: 'pending_upload', message: 'It is not there.' };

/** One region, `Burgos`; tasks end when the test says so. */
class Regions implements SyncService {
  readonly tasks = new Map<string, RestTask>();
  readonly starts: (string | null)[] = [];
  /** What listing waits for, or fails with. */
  listing: (signal: AbortSignal) => Promise<void> = async () => undefined;

  async assertRegion(region: string): Promise<void> {
    if (region !== 'Burgos' && region !== 'other:Madrid') throw new AllianceError('region_not_found');
  }

  async status(region: string, name: string | null, signal: AbortSignal): Promise<readonly ImageStatus[]> {
    await this.assertRegion(region);
    await this.listing(signal);
    return [image, missing].filter((each) => name === null || each.name === name);
  }

  async start(region: string, name: string | null): Promise<RestTask> {
    await this.assertRegion(region);
    this.starts.push(name);
    const task: RestTask = { taskId: `t${this.tasks.size}`, status: 'syncing', message: null };
    this.tasks.set(`${region} ${task.taskId}`, task);
    return task;
  }

  async task(region: string, taskId: string): Promise<RestTask | null> {
    return this.tasks.get(`${region} ${taskId}`) ?? null;
  }

  async forget(region: string, taskId: string) {
    const found = this.tasks.get(`${region} ${taskId}`);
    if (!found) return 'unknown';
    if (found.status === 'syncing') return 'running';
    this.tasks.delete(`${region} ${taskId}`);
    return 'forgotten';
  }
}

describe('http/glancesync', () => {
  let sandbox: SandboxKeystone;
  let keystone: Keystone;
  let face: HttpFace;
  let regions: Regions;
  let admin: string;
  let member: string;
  const lines: string[] = [];
  const startedAt = Date.parse('2026-05-05T05:05:05.500Z');

  before(async () => {
    sandbox = await startSandboxKeystone();
    const password = sandbox.adminPassword;
    const scope = { project: { name: 'admin', domain: { name: 'Default' } } };
    keystone = createKeystone({
      authUrl: sandbox.url,
      credentials: { method: 'password', user: { name: 'admin', domain: { name: 'Default' } }, password },
      scope,
      limits: { retries: 0 },
    });
    const api = createKeystoneApi(sandbox.url);
    admin = await api.login(passwordLogin('admin', password, { project: inDefault('admin') }));
    member = await api.login(passwordLogin('demo', sandbox.demoPassword));
  });
  beforeEach(async () => {
    regions = new Regions();
    lines.length = 0;
    const destination = { write: (line: string) => void lines.push(line) };
    face = await startHttp({
      address: { host: '127.0.0.1', port: 0 },
      metrics: createMetrics(),
      readiness: async () => ({ ready: true, checks: {} }),
      glancesync: {
        ...{ keystone, role: 'Admin', service: regions, version: '1.2.3', startedAt },
        log: createLogger({ level: 'debug', destination }),
      },
    });
  });
  afterEach(() => face.close());
  after(async () => {
    await keystone.close();
    await sandbox.stop();
  });

  const send = async (method: string, path: string, token: string | null = admin, init: RequestInit = {}) => {
    const headers = { ...(token !== null && { 'x-auth-token': token }), ...(init.headers as Record<string, string>) };
    const answer = await fetch(`http://127.0.0.1:${face.address.port}${path}`, { ...init, method, headers });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text), headers: answer.headers };
  };
  const fault = async (method: string, path: string, token?: string | null, init?: RequestInit) => {
    const { status, body } = await send(method, path, token, init);
    expect(body.error).to.have.all.keys('message', 'code');
    expect(body.error.code).to.equal(status);
    return [status, body.error.message];
  };

  it('says what it is to anybody', async () => {
    const { status, body } = await send('GET', '/glancesync/', null);
    expect([status, body.id, body.status, body.runningfrom]).to.deep.equal([
      ...[200, 'v1.0', 'SUPPORTED', '2026-05-05T05:05:05Z'],
    ]);
    expect((await send('GET', '/glancesync', null)).status).to.equal(200);
    expect(sandbox.requests.filter(({ path }) => path.includes('/auth/tokens')).length).to.be.greaterThan(0);
  });

  it('lists images with their state, or one of them', async () => {
    expect((await send('GET', '/glancesync/regions/Burgos')).body).to.deep.equal({ images: [image, missing] });
    expect((await send('GET', '/glancesync/regions/other%3AMadrid?image=cirros')).body).to.deep.equal({
      images: [missing],
    });
    expect(await fault('GET', '/glancesync/regions/Burgos?image=none')).to.deep.equal([404, 'Item not found']);
    expect((await fault('GET', '/glancesync/regions/Burgos?image=a&image=b'))[0]).to.equal(400);
  });

  it('begins syncs, tells what became of them, and forgets them', async () => {
    const json = { 'content-type': 'application/json' };
    const started = await send('POST', '/glancesync/regions/Burgos', admin, { headers: json });
    expect([started.status, started.body]).to.deep.equal([200, { taskId: 't0', status: 'syncing' }]);
    await send('POST', '/glancesync/regions/Burgos?image=cirros', admin, { headers: json, body: '{"not": "read"}' });
    expect(regions.starts).to.deep.equal([null, 'cirros']);
    const path = '/glancesync/regions/Burgos/tasks/t0';
    expect((await send('GET', path)).body).to.deep.equal({ taskId: 't0', status: 'syncing', message: null });
    expect((await fault('DELETE', path))[0]).to.equal(400);
    regions.tasks.set('Burgos t0', { taskId: 't0', status: 'failed', message: 'Glance was full.' });
    expect((await send('GET', path)).body).to.include({ status: 'failed', message: 'Glance was full.' });
    const gone = await send('DELETE', path);
    expect([gone.status, gone.body]).to.deep.equal([200, null]);
    expect(await fault('GET', path)).to.deep.equal([404, 'Item not found']);
    expect(await fault('DELETE', path)).to.deep.equal([404, 'Item not found']);
  });

  it('410 for a region that is not there, whatever is asked of it', async () => {
    for (const [method, path] of [
      ['GET', '/glancesync/regions/Atlantis'],
      ['POST', '/glancesync/regions/Atlantis'],
      ['GET', '/glancesync/regions/Atlantis/tasks/t0'],
      ['DELETE', '/glancesync/regions/Atlantis/tasks/t0'],
      ['GET', `/glancesync/regions/${'x'.repeat(imageRestLimits.nameCharacters + 1)}`],
    ] as const)
      expect(await fault(method, path), path).to.deep.equal([410, 'Bad region']);
  });

  it('401 without a token, with one that is none, and without the role; nothing is begun', async () => {
    for (const token of [null, '', 'gAAAAABnothing', 'no token', 'x'.repeat(9000), member])
      for (const [method, path] of [
        ['GET', '/glancesync/regions/Burgos'],
        ['POST', '/glancesync/regions/Burgos'],
        ['DELETE', '/glancesync/regions/Burgos/tasks/t0'],
      ] as const) {
        const [status, message] = await fault(method, path, token);
        expect([status, String(message).slice(0, 12)], `${method} ${token}`).to.deep.equal([401, 'Unauthorized']);
      }
    // A region is told to nobody who may not know.
    expect((await fault('GET', '/glancesync/regions/Atlantis', member))[0]).to.equal(401);
    expect(regions.starts).to.deep.equal([]);
  });

  it('401 with the role on something else than a project', async () => {
    const { state } = sandbox;
    const user = [...state.users.values()].find(({ name }) => name === 'admin')!;
    const role = [...state.roles.values()].find(({ name }) => name === 'admin')!;
    const api = createKeystoneApi(sandbox.url);
    state.grant(user.id, role.id, { kind: 'domain', id: 'default' });
    state.grant(user.id, role.id, { kind: 'system' });
    for (const scope of [{ domain: { id: 'default' } }, { system: { all: true } }]) {
      const token = await api.login({ auth: { ...passwordLogin('admin', sandbox.adminPassword).auth, scope } });
      const [status, message] = await fault('POST', '/glancesync/regions/Burgos', token);
      expect([status, message]).to.deep.equal([401, 'Unauthorized: the token is for no project']);
    }
    expect(regions.starts).to.deep.equal([]);
  });

  it('a token that was revoked is refused from then on', async () => {
    const api = createKeystoneApi(sandbox.url);
    const token = await api.login(passwordLogin('admin', sandbox.adminPassword, { project: inDefault('admin') }));
    expect((await send('GET', '/glancesync/regions/Burgos', token)).status).to.equal(200);
    await keystone.revokeToken(token);
    expect((await fault('GET', '/glancesync/regions/Burgos', token))[0]).to.equal(401);
  });

  it('405 for other methods, 404 for other paths', async () => {
    for (const [method, path, allow] of [
      ['POST', '/glancesync/', 'GET, HEAD'],
      ['DELETE', '/glancesync/regions/Burgos', 'GET, HEAD, POST'],
      ['PUT', '/glancesync/regions/Burgos', 'GET, HEAD, POST'],
      ['POST', '/glancesync/regions/Burgos/tasks/t0', 'DELETE, GET, HEAD'],
    ] as const) {
      expect(await fault(method, path, null)).to.deep.equal([405, 'Bad method']);
      expect((await send(method, path, null)).headers.get('allow')).to.equal(allow);
    }
    for (const path of ['/glancesync/regions', '/glancesync/x', '/glancesync/regions/Burgos/tasks'])
      expect(await fault('GET', path)).to.deep.equal([404, 'Item not found']);
    expect((await fault('GET', '/glancesync/regions/%ff', null))[0]).to.equal(400);
  });

  it('503 while Keystone does not answer, and 500 without more for what went wrong here', async () => {
    sandbox.faults.always('down');
    const { status, body, headers } = await send('GET', '/glancesync/regions/Burgos');
    sandbox.faults.clear();
    expect([status, body.error.code, headers.get('retry-after')]).to.deep.equal([503, 503, '5']);
    regions.listing = async () => {
      throw new Error('secret path /etc/shadow');
    };
    expect(await fault('GET', '/glancesync/regions/Burgos')).to.deep.equal([500, 'Internal error.']);
    regions.listing = async () => {
      throw new AllianceError('glance_unreachable', { details: 'at http://internal:9292' });
    };
    expect(await fault('GET', '/glancesync/regions/Burgos')).to.deep.equal([503, 'Glance cannot be reached.']);
  });

  it('lists for so many at a time, and stops when nobody waits any more', async () => {
    const ended: (() => void)[] = [];
    const aborted: AbortSignal[] = [];
    regions.listing = (signal) =>
      new Promise((resolve) => {
        aborted.push(signal);
        ended.push(resolve);
        signal.addEventListener('abort', () => resolve());
      });
    const reached = async (count: number) => {
      while (aborted.length < count) await new Promise((resolve) => setImmediate(resolve));
    };
    const listings = Array.from({ length: imageRestLimits.listings }, () => send('GET', '/glancesync/regions/Burgos'));
    await reached(imageRestLimits.listings);
    expect((await fault('GET', '/glancesync/regions/Burgos'))[0]).to.equal(503);
    expect((await send('POST', '/glancesync/regions/Burgos')).status).to.equal(200);
    for (const end of ended) end();
    expect((await Promise.all(listings)).map(({ status }) => status)).to.deep.equal(new Array(4).fill(200));
    const socket = connect(face.address.port, '127.0.0.1');
    socket.write(`GET /glancesync/regions/Burgos HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${admin}\r\n\r\n`);
    await reached(imageRestLimits.listings + 1);
    const gone = new Promise((resolve) => aborted.at(-1)!.addEventListener('abort', resolve));
    socket.destroy();
    await gone;
  });

  it('takes no large body, and never writes a token into the log', async () => {
    const body = 'x'.repeat(70_000);
    expect((await fault('POST', '/glancesync/regions/Burgos', admin, { body }))[0]).to.equal(400);
    await send('POST', '/glancesync/regions/Burgos');
    sandbox.faults.always('down');
    await send('GET', '/glancesync/regions/Burgos');
    sandbox.faults.clear();
    expect(lines.join('')).to.contain('asked for by REST').and.to.contain('keystone_unreachable');
    expect(lines.join('')).not.to.contain(admin);
  });

  it('answers as its OpenAPI document says', async () => {
    const { body: document } = await send('GET', '/glancesync/openapi.json', null);
    expect(document).to.deep.equal(JSON.parse(JSON.stringify(openApi('1.2.3'))));
    const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { 'date-time': true } });
    ajv.addSchema(document, 'api');
    type Responses = Record<string, { $ref?: string; content?: object }>;
    const checkAnswer = async (method: string, template: string, path: string, expected: number, token = admin) => {
      const { status, body, headers } = await send(method, `/glancesync${path}`, token);
      expect(status, path).to.equal(expected);
      const place = `/paths/${template.replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D')}`;
      const { responses } = document.paths[template][method.toLowerCase()] as { responses: Responses };
      const response = responses[String(status)];
      expect(response, `${method} ${template} ${status}`).not.to.equal(undefined);
      const fragment = response!.$ref ?? `#${place}/${method.toLowerCase()}/responses/${status}`;
      const described = response!.$ref ? document.components.responses[response!.$ref.split('/').at(-1)!] : response;
      if (!described.content) return expect(body).to.equal(null);
      expect(headers.get('content-type')).to.match(/^application\/json/);
      const valid = ajv.validate(`api${fragment}/content/application~1json/schema`, body);
      return expect(valid, `${ajv.errorsText()} ${JSON.stringify(body)}`).to.equal(true);
    };
    const [one, task] = ['/regions/{region}', '/regions/{region}/tasks/{task}'];
    await checkAnswer('GET', '/', '/', 200);
    await checkAnswer('GET', '/openapi.json', '/openapi.json', 200);
    await checkAnswer('GET', one, '/regions/Burgos', 200);
    await checkAnswer('GET', one, '/regions/Burgos?image=none', 404);
    await checkAnswer('GET', one, '/regions/Atlantis', 410);
    await checkAnswer('GET', one, '/regions/Burgos', 401, member);
    await checkAnswer('POST', one, '/regions/Burgos', 200);
    await checkAnswer('POST', one, '/regions/Atlantis', 410);
    await checkAnswer('GET', task, '/regions/Burgos/tasks/t0', 200);
    await checkAnswer('DELETE', task, '/regions/Burgos/tasks/t0', 400);
    regions.tasks.set('Burgos t0', { taskId: 't0', status: 'synced', message: null });
    await checkAnswer('DELETE', task, '/regions/Burgos/tasks/t0', 200);
    await checkAnswer('DELETE', task, '/regions/Burgos/tasks/t0', 404);
    await checkAnswer('GET', task, '/regions/Burgos/tasks/t0', 404);
    regions.listing = async () => {
      throw new Error('x');
    };
    await checkAnswer('GET', one, '/regions/Burgos', 500);
  });

  it('is not there unless it is switched on', async () => {
    const off = await startHttp({
      address: { host: '127.0.0.1', port: 0 },
      metrics: createMetrics(),
      readiness: async () => ({ ready: true, checks: {} }),
    });
    const answer = await fetch(`http://127.0.0.1:${off.address.port}/glancesync/`);
    expect(answer.status).to.equal(404);
    await answer.text();
    await off.close();
  });
});
