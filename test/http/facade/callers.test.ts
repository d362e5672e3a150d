/** Callers that Keystone does not know: what they cost it. */
import { expect } from 'chai';
import { facadeLimits } from '../../../src/core/limits.ts';
import { keystoneError } from '../../../src/http/facade/answers.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { openFacade, type TestFacade } from '../../support/facade.ts';
import { startWebServer, type WebServer } from '../../support/webServer.ts';

describe('http/facade/callers: strangers', () => {
  let keystone: SandboxKeystone;
  let web: WebServer;
  let facade: TestFacade;
  let now = 1e6;
  /** What Keystone has answered since the beginning. */
  let asked = 0;
  const clean = { type: 'application/json', body: keystoneError(401, 'No.').body };
  let answer: { status?: number; type?: string; body: string } = clean;

  before(async () => {
    keystone = await startSandboxKeystone();
    web = await startWebServer(({ url }, response) => {
      if (url === '/v3') return response.end('{}');
      asked += 1;
      const { status = 401, type = 'application/json', body } = answer;
      return response.writeHead(status, { 'content-type': type, 'www-authenticate': 'Keystone uri="here"' }).end(body);
    });
  });
  after(async () => {
    await web.stop();
    await keystone.stop();
  });
  beforeEach(async () => {
    [asked, answer] = [0, clean];
    facade = await openFacade(keystone, {
      authUrl: `${web.url}/v3`,
      clock: { now: () => now, monotonic: () => now },
    });
  });
  afterEach(() => facade.stop());

  const ask = (headers: Record<string, string>, method = 'GET') =>
    fetch(`${facade.url}/v3/auth/tokens`, { method, headers: { 'x-subject-token': 'gAAAAA', ...headers } });
  const stranger = { 'x-auth-token': 'made-up' };

  it('one that Keystone has just refused is refused in its words without asking again, for a second', async () => {
    const first = await ask(stranger);
    const texts = [await first.text()];
    for (const subject of ['gAAAAA', 'other', 'a1.east.token'])
      texts.push(await (await ask({ ...stranger, 'x-subject-token': subject })).text());
    expect([new Set(texts), asked]).to.deep.equal([new Set([clean.body]), 1]);
    const again = await ask(stranger, 'HEAD');
    expect([again.status, again.headers.get('www-authenticate')]).to.deep.equal([401, 'Keystone uri="here"']);
    expect([(await ask(stranger, 'DELETE')).status, asked]).to.deep.equal([401, 1]);
    now += facadeLimits.refusedMs;
    answer = { status: 200, body: '{}' };
    expect([(await ask(stranger)).status, asked]).to.deep.equal([200, 2]);
  });

  it('nobody is refused for another, nor where more than the token decides', async () => {
    await ask(stranger);
    answer = { status: 200, body: '{}' };
    for (const headers of [
      { 'x-auth-token': 'made-up2' },
      { ...stranger, 'x-service-token': 'service' },
      { ...stranger, authorization: 'Bearer x' },
    ])
      expect((await ask(headers)).status).to.equal(200);
    expect(asked).to.equal(4);
  });

  it('one without any token is remembered like others', async () => {
    await ask({});
    expect([(await ask({})).status, asked]).to.deep.equal([401, 1]);
  });

  it('only what Keystone itself says is remembered', async () => {
    for (const each of [
      { type: 'text/html', body: '<h1>401</h1>' },
      { body: '' },
      { status: 403, body: keystoneError(403, 'No.').body },
      { status: 500, body: keystoneError(500, 'No.').body },
    ]) {
      answer = each;
      for (const _ of [1, 2]) await ask(stranger);
      answer = { status: 200, body: '{}' };
      expect((await ask(stranger)).status).to.equal(200);
      await facade.stop();
      facade = await openFacade(keystone, { authUrl: `${web.url}/v3` });
    }
    expect(asked).to.equal(12);
  });

  it('one that it knew until now must have been refused twice', async () => {
    answer = { status: 200, body: '{}' };
    await ask(stranger);
    answer = clean;
    for (const _ of [1, 2, 3]) expect((await ask(stranger)).status).to.equal(401);
    expect(asked).to.equal(3);
  });
});
