import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { facadeLimits } from '../../../src/core/limits.ts';
import { createMetrics } from '../../../src/http/metrics.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { openFacade, sendRaw, statusOf, type TestFacade, type TestFacadeOptions } from '../../support/facade.ts';
import { createKeystoneApi } from '../../support/keystoneApi.ts';
import { until } from '../../support/until.ts';
import { startWebServer, type WebServer } from '../../support/webServer.ts';

describe('facade: bounds', () => {
  let keystone: SandboxKeystone;
  let facade: TestFacade | undefined;
  let web: WebServer | undefined;
  before(async () => {
    keystone = await startSandboxKeystone();
  });
  after(() => keystone.stop());
  afterEach(async () => {
    keystone.faults.clear();
    await facade?.stop();
    await web?.stop();
    [facade, web] = [undefined, undefined];
  });

  const open = async (options: TestFacadeOptions = {}) => {
    facade = await openFacade(keystone, options);
    return facade;
  };
  const dial = async ({ url }: TestFacade): Promise<Socket> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  /** A Keystone that answers `GET /v3` as one does, and the rest as the test says. */
  const before3 = async (handler: Parameters<typeof startWebServer>[0], options: TestFacadeOptions = {}) => {
    web = await startWebServer((request, response) =>
      request.url === '/v3' ? response.end('{}') : handler(request, response),
    );
    return open({ ...options, authUrl: `${web.url}/v3` });
  };

  it('refuses bodies that are too long, with a length and in chunks', async () => {
    const { url } = await before3((request, response) => request.resume().on('end', () => response.end('{}')));
    const head = 'POST /v3/users HTTP/1.1\r\nHost: x\r\n';
    const announced = await sendRaw(url, `${head}Content-Length: ${facadeLimits.requestBytes + 1}\r\n\r\n`);
    expect(statusOf(announced)).to.equal(413);
    const size = facadeLimits.requestBytes / 4;
    const chunk = `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`;
    const streamed = await sendRaw(url, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}`);
    expect(statusOf(streamed)).to.equal(413);
    expect(streamed).to.include('"code":413');
  });

  it('closes connections whose headers or body come too slowly', async () => {
    const limits = { headersTimeoutMs: 100, requestTimeoutMs: 300, checkEveryMs: 20 };
    const started = await open({ limits });
    for (const [begun, status] of [
      ['GET /v3 HTTP/1.1\r\nHost: x\r\nX-Slow: ', 408],
      ['POST /v3/users HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{', 408],
    ] as const) {
      const answer = await sendRaw(started.url, begun);
      expect(statusOf(answer)).to.equal(status);
    }
  });

  it('closes connections on which nothing moves, before and within an answer', async () => {
    const started = await before3((_request, response) => response.write('x'.repeat(100)), {
      limits: { idleTimeoutMs: 150 },
    });
    await once(await dial(started), 'close');
    const socket = await dial(started);
    socket.resume().write('GET /v3/users HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'close');
  });

  it('takes so many requests of one address at a time, and says 503 to more', async () => {
    const waiting: (() => void)[] = [];
    const started = await before3((_request, response) => waiting.push(() => response.end('{}')), {
      limits: { handedInFlight: 4 },
    });
    const answers = [1, 2].map(() => fetch(`${started.url}/v3/users`));
    await until('two requests', () => waiting.length === 2);
    const refused = await fetch(`${started.url}/v3/users`);
    expect([refused.status, refused.headers.get('retry-after')]).to.deep.equal([503, '1']);
    for (const end of waiting) end();
    for (const answer of await Promise.all(answers)) expect(answer.status).to.equal(200);
    const again = fetch(`${started.url}/v3/users`);
    await until('one more', () => waiting.length === 3);
    waiting[2]!();
    expect((await again).status).to.equal(200);
  });

  it('says 504 where Keystone takes too long, 503 where it is not there or breaks off', async () => {
    const started = await open({ limits: { upstreamTimeoutMs: 1000 } });
    const ask = () => started.api.call('POST', '/users', { body: {} });
    keystone.faults.next('hang');
    const late = await ask();
    expect([late.status, late.at('error.code')]).to.deep.equal([504, 504]);
    keystone.faults.next('down');
    const broken = await ask();
    expect([broken.status, broken.at('error.title')]).to.deep.equal([503, 'Service Unavailable']);
    expect(broken.headers.get('retry-after')).to.equal('1');
    keystone.faults.next('truncated');
    const torn = await ask().then(
      () => false,
      () => true,
    );
    expect(torn).to.equal(true);
  });

  it('asks once more where a connection broke under a request that only reads', async () => {
    const { api } = await open();
    keystone.faults.next('down');
    expect((await api.call('GET', '/regions')).status).to.equal(401);
    keystone.faults.next('down', { count: 2 });
    expect((await api.call('GET', '/regions')).status).to.equal(503);
  });

  it('hands on Keystone’s own failures as they came', async () => {
    const { api } = await open();
    for (const [kind, status] of [
      ['500', 500],
      ['503', 503],
      ['html', 404],
    ] as const)
      for (const path of ['/users', '/auth/tokens', '']) {
        keystone.faults.next(kind, { retryAfterS: 7 });
        const answer = await api.call('GET', path, { subject: 'gAAAAA' });
        keystone.faults.next(kind, { retryAfterS: 7 });
        const direct = await createKeystoneApi(keystone.url).call('GET', path);
        expect([answer.status, answer.text]).to.deep.equal([status, direct.text]);
        expect(answer.headers.get('retry-after')).to.equal(direct.headers.get('retry-after'));
      }
  });

  it('reads no endless answer where it reads one at all', async () => {
    const started = await before3((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('x'.repeat(facadeLimits.errorBytes + 1));
    });
    const answer = await started.api.call('GET', '/auth/tokens', { token: 'x', subject: 'y' });
    expect(answer.status).to.equal(503);
  });

  it('streams both ways, and reads no faster than it can hand on', async () => {
    let sent = 0;
    let closed = false;
    const piece = Buffer.alloc(64 * 1024);
    const most = 512;
    const started = await before3((_request, response) => {
      response.on('close', () => {
        closed = true;
      });
      const more = (): void => {
        while (sent < most && !response.destroyed) {
          sent += 1;
          if (!response.write(piece)) return void response.once('drain', more);
        }
        if (sent === most) response.end();
      };
      more();
    });
    const asked = httpRequest(`${started.url}/v3/large`).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    // Not read yet: what is on the way fills the buffers, and then nobody sends any more.
    let last = -1;
    await until(
      'the sender stands still',
      () => {
        const still = last === sent;
        last = sent;
        return still;
      },
      10_000,
    );
    expect(sent).to.be.lessThan(most);
    let bytes = 0;
    for await (const chunk of answer) bytes += (chunk as Buffer).length;
    expect(bytes).to.equal(most * piece.length);
    sent = 0;
    const given = httpRequest(`${started.url}/v3/large`).on('error', () => undefined);
    given.end();
    await once(given, 'response');
    closed = false;
    given.destroy();
    await until('Keystone hears that the caller went away', () => closed);
  });

  it('hands on a body as it comes in', async () => {
    const pieces: string[] = [];
    const started = await before3((request, response) => {
      request.setEncoding('utf8').on('data', (piece: string) => pieces.push(piece));
      request.on('end', () => response.end(JSON.stringify(request.headers)));
    });
    const given = httpRequest(`${started.url}/v3/users`, { method: 'POST', headers: { expect: '100-continue' } });
    given.write('{"first":');
    await until('the first piece', () => pieces.join('') === '{"first":');
    given.end('"second"}');
    const [answer] = (await once(given, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of answer) text += String(chunk);
    expect(pieces.join('')).to.equal('{"first":"second"}');
    expect(JSON.parse(text)).to.include({ 'transfer-encoding': 'chunked' }).and.not.have.property('expect');
  });

  it('answers what it has begun before it closes', async () => {
    let finish = (): void => undefined;
    const started = await before3((_request, response) => {
      finish = () => response.end('{"done":true}');
    });
    const begun = finish;
    const answer = fetch(`${started.url}/v3/users`);
    await until('the request', () => finish !== begun);
    const closing = started.face.close();
    finish();
    expect(await (await answer).json()).to.deep.equal({ done: true });
    await closing;
    expect(await fetch(`${started.url}/v3`).catch(() => 'refused')).to.equal('refused');
  });

  it('counts requests by route and status, and foreign answers', async () => {
    const telemetry = createMetrics();
    const started = await open({ telemetry });
    await started.api.call('GET', '/users');
    await started.api.call('GET', '/auth/tokens', { subject: 'x' });
    await fetch(`${started.url}//`);
    const refused = 'alliance_facade_requests_total{route="refused",status="400"} 1';
    const text = await until('the last count', async () => {
      const scrape = await telemetry.text();
      return scrape.includes(refused) && scrape;
    });
    for (const line of [
      'alliance_facade_requests_total{route="relay",status="401"} 1',
      'alliance_facade_requests_total{route="validate",status="401"} 1',
      'alliance_facade_request_duration_seconds_count{route="relay"} 1',
    ])
      expect(text).to.include(line);
  });
});
