/** What this cloud's Keystone is asked before anybody else is: in every way in which it may know a token. */
import type { IncomingMessage } from 'node:http';
import { expect } from 'chai';
import { createKeystone, type Keystone } from '../../src/lproxy/keystone.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { askWhetherLocal } from '../../src/token/search.ts';
import { rejection } from '../support/errors.ts';
import { inDefault } from '../support/keystoneApi.ts';
import { startWebServer } from '../support/webServer.ts';

describe('token/search', () => {
  const running: (() => Promise<void>)[] = [];
  const connect = (authUrl: string, password: string): Keystone => {
    const credentials = { method: 'password', user: inDefault('admin'), password } as const;
    const scope = { project: inDefault('admin') };
    const keystone = createKeystone({ authUrl, credentials, scope, limits: { retryBackoffMs: 1 } });
    running.push(() => keystone.close());
    return keystone;
  };
  afterEach(async () => {
    for (const stop of running.splice(0).reverse()) await stop();
  });

  describe('of a Keystone', () => {
    let sandbox: SandboxKeystone;
    let keystone: Keystone;
    let now: number;
    beforeEach(async () => {
      now = Date.now();
      sandbox = await startSandboxKeystone({ clock: { now: () => now } });
      running.push(() => sandbox.stop());
      keystone = connect(sandbox.url, sandbox.adminPassword);
    });
    const issue = async () => {
      const credentials = { method: 'password', user: inDefault('demo'), password: sandbox.demoPassword } as const;
      return keystone.issueToken(credentials);
    };

    it('its own tokens are local, also when they have expired; others are not', async () => {
      const { token, expiresAt } = await issue();
      const isLocal = askWhetherLocal(keystone);
      expect([await isLocal(token), await isLocal('gAAAAAB-other')]).to.deep.equal([true, false]);
      now = expiresAt + 60_000;
      expect((await keystone.validateToken(token)).status).to.equal('invalid');
      expect(await isLocal(token)).to.equal(true);
    });

    it('where it does not say, nobody knows', async () => {
      sandbox.faults.always('500', { match: { method: 'GET' } });
      await rejection(askWhetherLocal(keystone)('t'), 'keystone_unreachable');
    });
  });

  it('it is asked as who enforces access rules and takes expired tokens', async () => {
    const seen: IncomingMessage[] = [];
    const expires_at = new Date(Date.now() + 60_000).toISOString();
    const body = JSON.stringify({ token: { expires_at, user: { id: 'u', name: 'n' } } });
    const { url, stop } = await startWebServer((request, response) => {
      if (request.method === 'POST') return response.writeHead(201, { 'x-subject-token': 'own' }).end(body);
      seen.push(request);
      return response.end(body);
    });
    running.push(stop);
    const keystone = connect(url, 'p');
    await askWhetherLocal(keystone)('t');
    await keystone.validateToken('t');
    const [every, plain] = seen.map(({ url: path, headers }) => [path, headers['openstack-identity-access-rules']]);
    expect(every).to.deep.equal(['/v3/auth/tokens?nocatalog&allow_expired=1', '1.0']);
    expect(plain).to.deep.equal(['/v3/auth/tokens', undefined]);
  });
});
