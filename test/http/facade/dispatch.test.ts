import { expect } from 'chai';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { openFacade, type TestFacade } from '../../support/facade.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../../support/keystoneApi.ts';

describe('facade: tokens of partners never reach this cloud’s Keystone', () => {
  let keystone: SandboxKeystone;
  let facade: TestFacade;
  let admin: string;
  const bare = 'gAAAAAknown';
  const qualified = 'a1.east.gAAAAAforeign';

  before(async () => {
    keystone = await startSandboxKeystone();
    admin = await createKeystoneApi(keystone.url).login(
      passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }),
    );
  });
  after(() => keystone.stop());
  beforeEach(async () => {
    facade = await openFacade(keystone);
    facade.doubles.foreign.add(bare);
  });
  afterEach(() => facade.stop());

  const send = (method: string, path: string, headers: Record<string, string>) =>
    fetch(`${facade.url}${path}`, { method, headers });
  const everywhere = [
    ['GET', '/v3/auth/tokens'],
    ['HEAD', '/v3/auth/tokens'],
    ['DELETE', '/v3/auth/tokens'],
    ['POST', '/v3/auth/tokens'],
    ['GET', '/v3/users'],
    ['PATCH', '/v3/users/x'],
    ['GET', '/v3'],
    ['GET', '/'],
  ] as const;

  for (const [what, token, off] of [
    ['known', bare, false],
    ['qualified', qualified, false],
    ['qualified, with that step switched off', qualified, true],
    ['one that tries to be, with that step switched off', 'a1.', true],
  ] as const) {
    it(`as X-Auth-Token and X-Service-Token, on no path: ${what}`, async () => {
      facade.doubles.qualifiedOff = off;
      const from = keystone.requests.length;
      for (const [method, path] of everywhere)
        for (const headers of [
          { 'x-auth-token': token, 'x-subject-token': admin },
          { 'x-auth-token': admin, 'x-service-token': token, 'x-subject-token': admin },
        ])
          expect((await send(method, path, headers)).status, `${method} ${path}`).to.equal(401);
      expect(keystone.requests.length).to.equal(from);
    });
  }

  it('as X-Subject-Token, where the qualified form is switched off: for those who may ask there is none', async () => {
    facade.doubles.qualifiedOff = true;
    const ask = (method: string, path: string, token: string) =>
      send(method, path, { 'x-auth-token': token, 'x-subject-token': qualified });
    expect((await ask('GET', '/v3/auth/tokens', 'gAAAAAforged')).status).to.equal(401);
    await ask('GET', '/v3/auth/tokens', admin);
    const from = keystone.requests.length;
    for (const [method, path] of everywhere) expect((await ask(method, path, admin)).status, path).to.equal(404);
    // Whether the caller may revoke, and nothing of the token.
    const paths = keystone.requests.slice(from).map(({ method, path }) => `${method} ${path}`);
    expect(paths).to.deep.equal(['DELETE /v3/auth/tokens']);
  });

  it('as X-Subject-Token of what is no question about a token', async () => {
    const from = keystone.requests.length;
    for (const path of ['/v3/users', '/v3/auth/catalog', '/v3']) {
      const answer = await send('GET', path, { 'x-auth-token': admin, 'x-subject-token': bare });
      expect(answer.status).to.equal(404);
    }
    expect(keystone.requests.length).to.equal(from);
  });
});
