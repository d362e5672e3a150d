import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { facadeLimits } from '../../../src/core/limits.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { openFacade, sendRaw, statusOf, type TestFacade } from '../../support/facade.ts';
import { startWebServer, type WebServer } from '../../support/webServer.ts';

const body = '{"auth":{}}';

describe('facade: requests that two parsers could read in two ways', () => {
  let keystone: SandboxKeystone;
  let facade: TestFacade;
  before(async () => {
    keystone = await startSandboxKeystone();
    facade = await openFacade(keystone);
  });
  after(async () => {
    await facade.stop();
    await keystone.stop();
  });

  const send = (lines: readonly string[], text = '') =>
    sendRaw(facade.url, `${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${text}`);
  const host = 'Host: facade';

  const targets = [
    'http://127.0.0.1:1/v3',
    'https://keystone.example/v3/users',
    '*',
    'v3',
    '//v3/auth/tokens',
    '//keystone.example/v3',
    '//',
    '/v3//auth/tokens',
    '/v3/auth/tokens//',
    '/v3/../v3/users',
    '/v3/./users',
    '/..',
    '/v3/..',
    '/v3/%2e%2e/users',
    '/v3/%2E./users',
    '/v3/.%2e',
    '/v3/%252e%252e/users',
    '/v3%2fauth%2ftokens',
    '/v3%2Fusers',
    '/v3%5cusers',
    '/v3\\users',
    '/v3/users%00',
    '/v3/users%0d%0aX-Auth-Token:%20x',
    '/v3/%zz',
    '/v3/%c0%ae%c0%ae/users',
    '/v3/users#fragment',
    '/v3/\xe4',
  ];
  for (const target of targets)
    it(`refuses the target ${target}`, async () => {
      const from = keystone.requests.length;
      expect(statusOf(await send([`GET ${target} HTTP/1.1`, host]))).to.equal(400);
      expect(keystone.requests.length).to.equal(from);
    });

  for (const target of ['/v3/users?next=/../..//a', '/v3/domains/caf%C3%A9', '/v3/a%20b', '/v3/roles/a.b..c'])
    it(`hands on the target ${target} as it came`, async () => {
      await send([`GET ${target} HTTP/1.1`, host]);
      expect(keystone.requests.at(-1)?.path).to.equal(target);
    });

  const framings: readonly (readonly [string, readonly string[], string])[] = [
    ['length and chunks', [`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'], `${body}0\r\n\r\n`],
    ['two lengths', ['Content-Length: 5', `Content-Length: ${body.length}`], body],
    ['two equal lengths', [`Content-Length: ${body.length}`, `Content-Length: ${body.length}`], body],
    ['a list of lengths', ['Content-Length: 5, 11'], body],
    ['a signed length', ['Content-Length: +11'], body],
    ['an unknown coding', ['Transfer-Encoding: xchunked'], body],
    ['a coding before chunked that hides', ['Transfer-Encoding: chunked, identity'], `0\r\n\r\n`],
    ['a coding with a space before the colon', ['Transfer-Encoding : chunked'], '0\r\n\r\n'],
    ['a folded header', [`Content-Length: ${body.length}`, 'X-Auth-Token: a', ' b'], body],
    ['a bad chunk size', ['Transfer-Encoding: chunked'], `0x5\r\nhello\r\n0\r\n\r\n`],
  ];
  for (const [what, lines, text] of framings)
    it(`refuses ${what}`, async () => {
      const from = keystone.requests.length;
      const answer = await send(['POST /v3/auth/tokens HTTP/1.1', host, ...lines], text);
      expect(statusOf(answer)).to.equal(400);
      expect(answer.match(/HTTP\/1\.1/g)).to.have.length(1);
      expect(keystone.requests.length - from, 'requests at Keystone').to.equal(0);
    });

  for (const name of ['X-Auth-Token', 'X-Subject-Token', 'X-Service-Token', 'OpenStack-Identity-Access-Rules'])
    it(`refuses two headers ${name}`, async () => {
      const lines = [`${name}: one`, `${name.toLowerCase()}: two`];
      expect(statusOf(await send(['GET /v3/auth/tokens HTTP/1.1', host, ...lines]))).to.equal(400);
    });

  it('opens no tunnel and changes no protocol', async () => {
    const tunnel = await send(['CONNECT 127.0.0.1:1 HTTP/1.1', host]);
    expect(statusOf(tunnel)).to.not.equal(200);
    const upgrade = await sendRaw(
      facade.url,
      `GET /v3 HTTP/1.1\r\n${host}\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n`,
    );
    expect(statusOf(upgrade)).to.not.equal(101);
  });

  it('reads no second request out of a body', async () => {
    const hidden = 'GET /v3/users HTTP/1.1\r\nHost: x\r\n\r\n';
    const answer = await send(
      ['GET /v3/auth/tokens HTTP/1.1', host, 'X-Auth-Token: x', `Content-Length: ${hidden.length}`],
      hidden,
    );
    expect(answer.match(/HTTP\/1\.1/g)).to.have.length(1);
    expect(keystone.requests.some(({ path }) => path === '/v3/users')).to.equal(false);
  });

  it('wants HTTP/1.1 with one host, and short headers', async () => {
    expect(statusOf(await send(['GET /v3 HTTP/1.1']))).to.equal(400);
    const large = await send(['GET /v3 HTTP/1.1', host, `X-Large: ${'x'.repeat(facadeLimits.headerBytes)}`]);
    expect(statusOf(large)).to.equal(431);
  });
});

describe('facade: headers on the way to Keystone', () => {
  let web: WebServer;
  let keystone: SandboxKeystone;
  let facade: TestFacade;
  const seen: string[][] = [];
  before(async () => {
    keystone = await startSandboxKeystone();
    web = await startWebServer((request, response) => {
      seen.push(request.rawHeaders);
      response.writeHead(200, {
        Connection: 'close, X-Hop',
        'X-Hop': '1',
        'Proxy-Authenticate': 'Basic',
        'Set-Cookie': ['a=1', 'b=2'],
        'X-Kept': 'yes',
      });
      response.end('plain');
    });
    facade = await openFacade(keystone, { authUrl: `${web.url}/identity/v3`, url: 'https://facade.example:5000/' });
  });
  after(async () => {
    await facade.stop();
    await web.stop();
    await keystone.stop();
  });

  async function forwarded(...lines: string[]): Promise<Map<string, string>> {
    await sendRaw(
      facade.url,
      `GET /v3/users HTTP/1.1\r\nHost: evil.example\r\n${lines.map((line) => `${line}\r\n`).join('')}Connection: close\r\n\r\n`,
    );
    const raw = seen.at(-1)!;
    const headers = new Map<string, string>();
    for (let index = 0; index < raw.length; index += 2) {
      const name = raw[index]!.toLowerCase();
      expect(headers.has(name), name).to.equal(false);
      headers.set(name, raw[index + 1]!);
    }
    return headers;
  }

  it('drops what only a server may say of a caller, and what looks like it', async () => {
    const lies = [
      'Remote-User',
      'REMOTE_USER',
      'SSL-CLIENT-CERT',
      'SSL-Client-Verify',
      'SSL_CLIENT_S_DN',
      'OIDC-iss',
      'OIDC_CLAIM_sub',
      'X-Remote-User',
      'X-Remote-Project-Name',
      'X_Auth_Token',
      'X_Subject_Token',
      'Proxy',
      'Proxy-Authorization',
      'X-Real-IP',
      'X-Original-URL',
      'Shib-Identity-Provider',
      'Mellon-Idp',
    ];
    const headers = await forwarded(...lies.map((name) => `${name}: lie`), 'X-Auth-Token: mine', 'X-Kept: yes');
    for (const name of lies) expect(headers.has(name.toLowerCase()), name).to.equal(false);
    expect([headers.get('x-auth-token'), headers.get('x-kept')]).to.deep.equal(['mine', 'yes']);
  });

  it('drops what concerns the connection only, and what Connection names', async () => {
    const headers = await forwarded(
      'Keep-Alive: 5',
      'TE: trailers',
      'Trailer: X-End',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
      'Connection: X-Secret, keep-alive',
      'X-Secret: 1',
    );
    for (const name of ['te', 'trailer', 'upgrade', 'http2-settings', 'x-secret'])
      expect(headers.has(name), name).to.equal(false);
    expect(headers.get('keep-alive')).to.not.equal('5');
  });

  it('does not count a token that Connection names', async () => {
    const before = seen.length;
    const answer = await sendRaw(
      facade.url,
      'GET /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nX-Auth-Token: t\r\nX-Subject-Token: a1.east.x\r\nConnection: X-Auth-Token, close\r\n\r\n',
    );
    expect(statusOf(answer)).to.equal(401);
    expect(seen.length).to.equal(before);
  });

  it('says itself who asked and how, and which host Keystone is', async () => {
    const headers = await forwarded(
      'X-Forwarded-For: 10.0.0.1',
      'X-Forwarded-Host: evil.example',
      'X-Forwarded-Proto: gopher',
      'X-Forwarded-Prefix: /evil',
      'Forwarded: for=10.0.0.1;host=evil.example',
    );
    expect(Object.fromEntries([...headers].filter(([name]) => name.includes('forwarded')))).to.deep.equal({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'facade.example:5000',
      forwarded: 'for=127.0.0.1;host="facade.example:5000";proto=https',
    });
    expect(headers.get('host')).to.equal(new URL(web.url).host);
    expect([...headers.values()].join()).not.to.include('evil');
  });

  it('hands back what is the caller’s, and nothing of the connection', async () => {
    const answer = await fetch(`${facade.url}/v3/users`);
    expect(answer.headers.getSetCookie()).to.deep.equal(['a=1', 'b=2']);
    expect(answer.headers.get('x-kept')).to.equal('yes');
    for (const name of ['x-hop', 'proxy-authenticate']) expect(answer.headers.has(name), name).to.equal(false);
    expect(await answer.text()).to.equal('plain');
  });

  it('keeps the path that auth_url has before /v3', async () => {
    const paths: (string | undefined)[] = [];
    const other = await startWebServer(({ url }, response) => {
      paths.push(url);
      response.end('{}');
    });
    const prefixed = await openFacade(keystone, { authUrl: `${other.url}/identity/v3` });
    await fetch(`${prefixed.url}/`);
    await fetch(`${prefixed.url}/v3/users?a=b`);
    await prefixed.stop();
    await other.stop();
    expect(paths).to.deep.equal(['/identity/v3', '/identity/', '/identity/v3/users?a=b']);
  });
});

describe('facade: answers of something that is no web server', () => {
  let keystone: SandboxKeystone;
  let server: Server;
  before(async () => {
    keystone = await startSandboxKeystone();
    server = createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-OpenSSH\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    server.close();
    await keystone.stop();
  });

  it('are a 503 in Keystone’s form', async () => {
    const { port } = server.address() as AddressInfo;
    const facade = await openFacade(keystone, { authUrl: `http://127.0.0.1:${port}/v3` });
    const answer = await facade.api.call('GET', '/users');
    await facade.stop();
    expect(answer.status).to.equal(503);
    expect(answer.at('error.code')).to.equal(503);
  });
});
