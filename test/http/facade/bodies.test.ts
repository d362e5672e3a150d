/** Slow senders, slow readers and a slow Keystone: each costs itself, and no question about a token. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { facadeLimits } from '../../../src/core/limits.ts';
import { Arrivals } from '../../../src/http/facade/bodies.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { openFacade, statusOf, type TestFacade, type TestFacadeOptions } from '../../support/facade.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../../support/keystoneApi.ts';
import { until } from '../../support/until.ts';
import { startWebServer, type WebServer } from '../../support/webServer.ts';

describe('http/facade/bodies', () => {
  describe('arrivals', () => {
    const given: string[] = [];
    let arrivals: Arrivals;
    const begin = (name: string, address = name[0]!) => arrivals.begin(address, () => void given.push(name));
    beforeEach(() => {
      given.length = 0;
      arrivals = new Arrivals({ perAddress: 2, total: 4 });
    });

    it('of one address are so many: the oldest gives way', () => {
      for (const name of ['a1', 'a2', 'b1', 'a3', 'a4']) begin(name);
      expect(given).to.deep.equal(['a1', 'a2']);
    });

    it('are so many in all: the oldest of the address with the most gives way', () => {
      for (const name of ['a1', 'b1', 'b2', 'c1', 'd1', 'e1']) begin(name);
      expect(given).to.deep.equal(['b1', 'a1']);
    });

    it('that have ended count no more, and are not given up', () => {
      const [first, second] = [begin('a1'), begin('a2')];
      first();
      first();
      begin('a3');
      expect(given).to.deep.equal([]);
      begin('a4');
      expect(given).to.deep.equal(['a2']);
      second();
      begin('b1');
      begin('b2');
      expect(given).to.deep.equal(['a2']);
    });
  });

  describe('at the facade', () => {
    let keystone: SandboxKeystone;
    let facade: TestFacade;
    let web: WebServer | undefined;
    let service: string;
    const sockets: Socket[] = [];
    before(async () => {
      keystone = await startSandboxKeystone();
      const own = createKeystoneApi(keystone.url);
      service = await own.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
    });
    after(() => keystone.stop());
    afterEach(async () => {
      for (const socket of sockets.splice(0)) socket.destroy();
      await facade.stop();
      await web?.stop();
      web = undefined;
    });

    const open = async (options: TestFacadeOptions = {}) => {
      facade = await openFacade(keystone, options);
    };
    /** A Keystone as the test says; `seen` are requests that it has had the head of. */
    const before3 = async (handler: Parameters<typeof startWebServer>[0], options: TestFacadeOptions = {}) => {
      const seen: string[] = [];
      web = await startWebServer((request, response) => {
        if (request.url === '/v3') return response.end('{}');
        seen.push(`${request.method} ${request.url}`);
        return handler(request, response);
      });
      await open({ ...options, authUrl: `${web.url}/v3` });
      return seen;
    };
    /** Begins a request and never ends it; what comes back is `answer`. */
    const begin = async (head: readonly string[], from = '127.0.0.1') => {
      const socket = connect({ port: Number(new URL(facade.url).port), host: '127.0.0.1', localAddress: from });
      const sender = { socket, answer: '' };
      socket
        .on('error', () => undefined)
        .on('data', (chunk) => {
          sender.answer += String(chunk);
        });
      sockets.push(socket);
      await once(socket, 'connect');
      socket.write(`${[...head, 'Host: x', ''].join('\r\n')}\r\n{`);
      return sender;
    };
    const slowLogin = ['POST /v3/auth/tokens HTTP/1.1', 'Content-Length: 1000'];
    const soon = (path: string, init: RequestInit = {}) =>
      fetch(`${facade.url}${path}`, { ...init, signal: AbortSignal.timeout(3000) }).then(({ status }) => status);
    const validate = (subject: string) =>
      soon('/v3/auth/tokens', { headers: { 'x-auth-token': service, 'x-subject-token': subject } });
    const login = () =>
      soon('/v3/auth/tokens', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(passwordLogin('demo', keystone.demoPassword)),
      });
    const allWork = async () => {
      expect([await validate(service), await validate('a1.east.token'), await login()]).to.deep.equal([200, 200, 201]);
      expect(await soon('/v3/users', { headers: { 'x-auth-token': service } })).to.equal(200);
    };

    for (const head of [
      slowLogin,
      ['POST /v3/auth/tokens HTTP/1.1', 'Transfer-Encoding: chunked'],
      ['GET /v3/auth/tokens HTTP/1.1', 'Content-Length: 1000', 'X-Auth-Token: x', 'X-Subject-Token: y'],
      ['GET /v3 HTTP/1.1', 'Content-Length: 1000'],
      ['POST /v3/users HTTP/1.1', 'Content-Length: 1000'],
      ['POST /v3/users HTTP/1.1', `Content-Length: ${facadeLimits.wholeBytes + 1}`],
      ['POST /v3/users HTTP/1.1', 'Transfer-Encoding: chunked'],
    ])
      it(`slow ones, from many addresses, keep nobody else waiting: ${head.slice(0, 2).join(', ')}`, async () => {
        await open({ limits: { upstreamConnections: facadeLimits.streams + 4 } });
        for (let n = 0; n < 2 * (facadeLimits.streams + 4); n++) await begin(head, `127.0.0.${2 + (n % 8)}`);
        await allWork();
      });

    it('short ones come in as a whole before Keystone hears of them', async () => {
      const bodies: string[] = [];
      const seen = await before3((request, response) => {
        request.on('data', (chunk) => bodies.push(String(chunk))).on('end', () => response.end('{}'));
      });
      for (const path of ['/v3/auth/tokens', '/v3/users']) {
        const given = httpRequest(`${facade.url}${path}`, { method: 'POST', headers: { 'content-length': 4 } });
        given.write('{"a');
        // Sent after it over another connection, and answered.
        await soon('/v3/regions');
        expect(seen.splice(0)).to.deep.equal(['GET /v3/regions']);
        given.end('}');
        await once(given, 'response');
        expect([seen.splice(0), bodies.splice(0).join('')]).to.deep.equal([[`POST ${path}`], '{"a}']);
      }
    });

    it('too many slow ones of an address: the oldest is told to come again, and others are not', async () => {
      await open();
      const senders: Awaited<ReturnType<typeof begin>>[] = [];
      for (let n = 0; n < facadeLimits.bodiesPerAddress; n++) senders.push(await begin(slowLogin));
      const other = await begin(slowLogin, '127.0.0.2');
      await begin(slowLogin);
      await until('an answer', () => senders[0]!.answer !== '');
      expect(statusOf(senders[0]!.answer)).to.equal(503);
      expect(senders[0]!.answer.toLowerCase()).to.include('retry-after').and.include('connection: close');
      await validate(service);
      expect([...senders.slice(1), other].map(({ answer }) => answer).join('')).to.equal('');
    });

    it('a hundred logins at once, head and body apart, are all answered', async () => {
      await before3((request, response) => request.resume().on('end', () => response.end('{}')));
      const given = Array.from({ length: 100 }, () => {
        const one = httpRequest(`${facade.url}/v3/auth/tokens`, { method: 'POST', headers: { 'content-length': 2 } });
        one.flushHeaders();
        return one;
      });
      const answers = given.map((one) => once(one, 'response'));
      await soon('/v3/regions');
      for (const one of given) one.end('{}');
      for (const answer of answers) {
        const [{ statusCode }] = (await answer) as [IncomingMessage];
        expect(statusCode).to.equal(200);
      }
      for (const one of given) one.destroy();
    });

    it('that are too long where all of it is waited for are refused, with a length and in chunks', async () => {
      const seen = await before3((_request, response) => response.end('{}'));
      const body = 'x'.repeat(facadeLimits.wholeBytes + 1);
      expect(await soon('/v3/auth/tokens', { method: 'POST', body })).to.equal(413);
      const chunked = new ReadableStream({
        start(controller) {
          controller.enqueue(Buffer.from(body));
          controller.close();
        },
      });
      const init = { method: 'POST', body: chunked, duplex: 'half' } as RequestInit;
      expect(await soon('/v3/auth/tokens', init)).to.equal(413);
      expect(seen).to.deep.equal([]);
      expect(await soon('/v3/users', { method: 'POST', body })).to.equal(200);
    });

    it('a Keystone that is slow with other things answers questions about tokens', async () => {
      const held: (() => void)[] = [];
      const isSlow = (method?: string, url?: string) => method === 'POST' || url !== '/v3/auth/tokens';
      const seen = await before3(
        ({ method, url }, response) => {
          const end = () => response.writeHead(401, { 'content-type': 'application/json' }).end('{}');
          if (isSlow(method, url)) held.push(end);
          else end();
        },
        { limits: { upstreamConnections: 2 } },
      );
      const waiting = Array.from({ length: 4 }, () => [
        fetch(`${facade.url}/v3/users`),
        fetch(`${facade.url}/v3/auth/tokens`, { method: 'POST', body: '{}' }),
      ]).flat();
      await until('two of each', () => held.length === 4);
      expect(await validate('gAAAAA')).to.equal(401);
      await until('all answers', () => {
        for (const end of held.splice(0)) end();
        return seen.length === 9;
      });
      for (const end of held.splice(0)) end();
      for (const { status } of await Promise.all(waiting)) expect(status).to.equal(401);
    });

    it('one who does not read what he was told about tokens holds no connection to Keystone', async () => {
      const large = JSON.stringify({ token: 'x'.repeat(facadeLimits.answerBytes - 1000) });
      const seen = await before3((_request, response) => response.end(large), { limits: { upstreamConnections: 1 } });
      const reader = connect(Number(new URL(facade.url).port), '127.0.0.1').on('error', () => undefined);
      sockets.push(reader);
      reader.pause();
      reader.write('GET /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nX-Auth-Token: x\r\nX-Subject-Token: y\r\n\r\n');
      await until('the question', () => seen.length === 1);
      expect(await validate('gAAAAA')).to.equal(200);
    });
  });
});
