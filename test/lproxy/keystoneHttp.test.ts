import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect } from 'chai';
import type { ErrorName } from '../../src/core/errorTable.ts';
import { parseCloudId } from '../../src/core/ids.ts';
import { createIdentity } from '../../src/crypto/identity.ts';
import { createKeystone, type Keystone, type KeystoneOptions } from '../../src/lproxy/keystone.ts';
import { parseAuthUrl, parseRetryAfter } from '../../src/lproxy/keystoneHttp.ts';
import { refusal, rejection } from '../support/errors.ts';
import { startRawServer } from '../support/rawServer.ts';
import { startWebServer, type WebServer } from '../support/webServer.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const version = JSON.stringify({ version: { id: 'v3.14', status: 'stable' } });
const token = JSON.stringify({
  token: { expires_at: '2100-01-01T00:00:00Z', user: { id: 'u', name: 'n' }, catalog: [{ id: 'internal' }] },
});
const login: Answer = (_request, response) => {
  response.writeHead(201, { 'x-subject-token': 'own' }).end(token);
};

describe('lproxy/keystoneHttp', () => {
  const running: { stop(): Promise<void> }[] = [];
  const seen: string[] = [];

  async function serve(answer: Answer, tls?: { key: string; cert: string }): Promise<WebServer> {
    const server = await startWebServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      if (request.method === 'POST') login(request, response);
      else answer(request, response);
    }, tls);
    running.push(server);
    return server;
  }
  function connect(authUrl: string, options: Partial<KeystoneOptions> = {}): Keystone {
    const user = { name: 'broker', domain: { name: 'Default' } };
    const keystone = createKeystone({ authUrl, credentials: { method: 'password', user, password: 'p' }, ...options });
    running.push({ stop: () => keystone.close() });
    return keystone;
  }
  const page = (names: readonly string[], next: string | null) =>
    JSON.stringify({ regions: names.map((id) => ({ id })), links: { next } });

  beforeEach(() => {
    seen.length = 0;
  });
  afterEach(async () => {
    for (const each of running.splice(0).reverse()) await each.stop();
  });

  it('keeps the path before /v3', async () => {
    const { url } = await serve((_request, response) => response.end(version));
    for (const path of ['', '/', '/v3', '/v3/', '/identity', '/identity/v3/']) await connect(url + path).version();
    const paths = ['/v3', '/v3', '/v3', '/v3', '/identity/v3', '/identity/v3'];
    expect(seen).to.deep.equal(paths.map((path) => `GET ${path}`));
  });

  it('refuses an auth_url that is none', () => {
    expect(parseAuthUrl('https://k.example/identity/v3')).to.deep.equal({
      origin: 'https://k.example',
      base: '/identity/v3',
    });
    for (const url of ['', 'k.example', 'ftp://k.example', 'http://u:p@k.example', 'http://k/v2.0', 'http://k/v3?a'])
      expect(refusal(() => parseAuthUrl(url), 'configuration').field).to.equal('keystone.auth_url');
  });

  it('reads Retry-After as seconds or as a date', () => {
    expect(parseRetryAfter('3')).to.equal(3000);
    expect(parseRetryAfter(new Date(Date.now() + 10_000).toUTCString())).to.be.within(8000, 10_000);
    expect(parseRetryAfter(new Date(0).toUTCString())).to.equal(0);
    expect(parseRetryAfter('soon')).to.equal(undefined);
    expect(parseRetryAfter(undefined)).to.equal(undefined);
  });

  it('keeps connections alive', async () => {
    const sockets = new Set<unknown>();
    const { url } = await serve((request, response) => {
      sockets.add(request.socket);
      response.end(version);
    });
    const keystone = connect(url);
    for (let round = 0; round < 20; round += 1) await keystone.version();
    // One may still be finishing while the next request goes out on another.
    expect(sockets.size).to.be.at.most(2);
  });

  it('follows no redirect', async () => {
    const other = await serve((_request, response) => response.end(version));
    const { url } = await serve((_request, response) => {
      response.writeHead(302, { location: `${other.url}/v3` }).end();
    });
    await rejection(connect(url).version(), 'keystone_malformed');
    expect(seen).to.have.length(1);
  });

  it('reads a list page by page, from its own Keystone whatever the links say', async () => {
    const { url } = await serve((request, response) => {
      const marker = new URL(request.url ?? '', 'http://x').searchParams.get('marker');
      if (marker === null) response.end(page(['a', 'b'], 'http://elsewhere.invalid/v3/regions?marker=b'));
      else if (marker === 'b') response.end(page(['c'], '?marker=c'));
      else response.end(page([], '?marker=again'));
    });
    const regions = await connect(url).listRegions();
    expect(regions.map(({ id }) => id)).to.deep.equal(['a', 'b', 'c']);
    expect(seen.slice(1)).to.deep.equal(['GET /v3/regions', 'GET /v3/regions?marker=b', 'GET /v3/regions?marker=c']);
  });

  it('ends an endless list at its bound', async () => {
    const { url } = await serve((_request, response) => response.end(page(['a', 'b', 'c'], '?more')));
    const regions = await connect(url, { limits: { listItems: 7 } }).listRegions();
    expect(regions).to.have.length(7);
    expect(seen).to.have.length(1 + 3);
  });

  it('ends an endless list of things that are switched off as well', async () => {
    const services = JSON.stringify({ services: [{ id: 'a', type: 't', enabled: false }], links: { next: '?more' } });
    const { url } = await serve((_request, response) => response.end(services));
    expect(await connect(url, { limits: { listItems: 5 } }).listServices()).to.deep.equal([]);
    expect(seen).to.have.length(1 + 5);
  });

  for (const [what, body] of [
    ['no list', '{}'],
    ['a list of something else', '{"regions": [1]}'],
    ['a row without id', '{"regions": [{"description": ""}]}'],
    ['links that are none', '{"regions": [{"id": "a"}], "links": {"next": "http://["}}'],
  ] as const)
    it(`refuses ${what}`, async () => {
      const { url } = await serve((_request, response) => response.end(body));
      await rejection(connect(url).listRegions(), 'keystone_malformed');
    });

  for (const [what, change] of [
    ['expires_at', { expires_at: undefined }],
    ['a readable expires_at', { expires_at: 'tomorrow' }],
    ['a user', { user: undefined }],
    ['the id of the user', { user: { name: 'n' } }],
    ['roles that are a list', { roles: 'admin' }],
  ] as const)
    it(`refuses a token body without ${what}`, async () => {
      const body = JSON.stringify({ token: { ...JSON.parse(token).token, ...change } });
      const { url } = await serve((_request, response) => response.end(body));
      await rejection(connect(url).validateToken('some'), 'keystone_malformed');
    });

  it('takes a catalog out of an issued token even where Keystone sent one unasked', async () => {
    const { url } = await serve((_request, response) => response.end());
    const user = { id: 'u' };
    const issued = await connect(url).issueToken({ method: 'password', user, password: 'p' });
    expect(issued.body).to.equal(JSON.stringify({ token: { ...JSON.parse(token).token, catalog: undefined } }));
    expect(issued.token).to.equal('own');
  });

  it('survives connections that were closed while idle', async () => {
    let count = 0;
    const { url } = await serve((_request, response) => {
      count += 1;
      // Answers, and hangs up under the next request.
      response.end(version, () => setImmediate(() => response.socket?.destroy()));
    });
    const keystone = connect(url);
    for (let round = 0; round < 10; round += 1) await keystone.version();
    expect(count).to.equal(10);
  });

  describe('a Keystone that is there and has too much to do is busy, not away', () => {
    const answers: readonly [what: string, status: number, headers: Record<string, string>, name: ErrorName][] = [
      ['429', 429, {}, 'overloaded'],
      ['429 with a time', 429, { 'retry-after': '30' }, 'overloaded'],
      ['503 with a time', 503, { 'retry-after': '30' }, 'overloaded'],
      ['503 with a time, again and again', 503, { 'retry-after': '0' }, 'overloaded'],
      ['504, from a proxy that waited', 504, {}, 'overloaded'],
      ['503', 503, {}, 'keystone_unreachable'],
      ['502', 502, {}, 'keystone_unreachable'],
      ['500', 500, { 'retry-after': '30' }, 'keystone_unreachable'],
    ];
    for (const [what, status, headers, name] of answers)
      it(`${what}: ${name}`, async () => {
        const { url } = await serve((_request, response) => response.writeHead(status, headers).end());
        const error = await rejection(connect(url, { limits: { retryBackoffMs: 1 } }).validateToken('t'), name);
        if (headers['retry-after'] === '30') expect(error.retryAfterMs).to.equal(30_000);
      });

    it('connected, and no answer or half of one in time: overloaded', async () => {
      const silent: Answer = () => undefined;
      const halting: Answer = (_request, response) => void response.write('{');
      for (const answer of [silent, halting]) {
        const { url } = await serve(answer);
        await rejection(connect(url, { limits: { requestTimeoutMs: 150 } }).validateToken('t'), 'overloaded');
      }
    });

    it('never connected in time, or a connection that breaks: keystone_unreachable', async () => {
      const mute = await startRawServer(() => undefined, { silent: true });
      running.push(mute);
      const limits = { requestTimeoutMs: 150 };
      await rejection(
        connect(`https://127.0.0.1:${mute.endpoint.port}`, { limits }).validateToken('t'),
        'keystone_unreachable',
      );
      const { url } = await serve((request) => request.socket.destroy());
      const breaking = connect(url, { limits: { retryBackoffMs: 1 } });
      await rejection(breaking.validateToken('t'), 'keystone_unreachable');
    });
  });

  describe('over TLS', () => {
    let tls: { key: string; cert: string };

    before(async () => {
      const cloudId = parseCloudId('keystone');
      const { keyPem, certificatePem } = await createIdentity({ cloudId, hosts: ['127.0.0.1'], now: Date.now() });
      tls = { key: keyPem, cert: certificatePem };
    });

    it('trusts the authorities of cacert', async () => {
      const { url } = await serve((_request, response) => response.end(version), tls);
      expect(await connect(url, { cacert: tls.cert }).version()).to.deep.equal({ id: 'v3.14', status: 'stable' });
    });

    it('is unreachable without them, at once, and says why', async () => {
      const { url } = await serve((_request, response) => response.end(version), tls);
      const error = await rejection(connect(url).version(), 'keystone_unreachable');
      expect(error.details).to.match(/CERT/);
      expect(seen).to.have.length(0);
    });
  });
});
