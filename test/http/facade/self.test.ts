import { request } from 'node:https';
import { expect } from 'chai';
import { silentLogger } from '../../../src/core/log.ts';
import { assertOtherAddress, rootOf } from '../../../src/http/facade/self.ts';
import { createKeystone } from '../../../src/lproxy/keystone.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { findFreePort } from '../../../src/server/freePort.ts';
import { certified } from '../../support/certificate.ts';

import { refusal, rejection } from '../../support/errors.ts';
import { openFacade, sendRaw, statusOf } from '../../support/facade.ts';
import { inDefault } from '../../support/keystoneApi.ts';

describe('facade: where it stands', () => {
  let keystone: SandboxKeystone;
  before(async () => {
    keystone = await startSandboxKeystone();
  });
  after(() => keystone.stop());

  it('does not start before itself, by whatever name', async () => {
    const port = await findFreePort();
    const address = { host: '127.0.0.1', port };
    for (const authUrl of [`http://127.0.0.1:${port}/v3`, `http://localhost:${port}`, `http://127.1:${port}/v3/`]) {
      const error = await rejection(openFacade(keystone, { address, authUrl }), 'configuration');
      expect(error.field).to.equal('keystone.auth_url');
    }
    const everywhere = { host: '0.0.0.0', port };
    const url = 'http://facade.example:5000';
    for (const authUrl of [`http://127.0.0.1:${port}/v3`, `http://localhost:${port}/v3`])
      await rejection(openFacade(keystone, { address: everywhere, url, authUrl }), 'configuration');
    await rejection(openFacade(keystone, { url, authUrl: `${url}/v3` }), 'configuration');
  });

  it('compares addresses, not only names', async () => {
    const at = { host: '127.0.0.1', port: 5000 };
    await assertOtherAddress('http://127.0.0.1:5001/v3', at, 'http://127.0.0.1:5000');
    await assertOtherAddress('http://nowhere.invalid:5000/v3', at, 'http://127.0.0.1:5000');
    await assertOtherAddress('http://127.0.0.2:5000/v3', at, 'http://127.0.0.1:5000');
    await rejection(
      assertOtherAddress('http://[::ffff:7f00:1]:5001/v3', at, 'http://[::ffff:7f00:1]:5001'),
      'configuration',
    );
    await rejection(assertOtherAddress('http://[::1]:5000', { host: '::', port: 5000 }, 'http://x'), 'configuration');
    await rejection(
      assertOtherAddress('http://localhost:5000', { host: 'localhost', port: 5000 }, 'http://x'),
      'configuration',
    );
  });

  it('does not start before another facade, and neither does the broker’s own Keystone client ask one', async () => {
    const first = await openFacade(keystone);
    const error = await rejection(openFacade(keystone, { authUrl: `${first.url}/v3` }), 'configuration');
    expect(error.field).to.equal('keystone.auth_url');
    const user = inDefault('admin');
    const credentials = { method: 'password', user, password: keystone.adminPassword } as const;
    const client = createKeystone({ authUrl: `${first.url}/v3`, credentials, scope: { project: user } });
    await rejection(client.version(), 'configuration');
    await rejection(client.validateToken('gAAAAA'), 'configuration');
    await client.close();
    await first.stop();
  });

  it('answers 508 to a request that came through a facade', async () => {
    const facade = await openFacade(keystone);
    const from = keystone.requests.length;
    const answer = await sendRaw(
      facade.url,
      'GET /v3 HTTP/1.1\r\nHost: x\r\nX-Alliance-Facade: any\r\nConnection: close\r\n\r\n',
    );
    await facade.stop();
    expect(statusOf(answer)).to.equal(508);
    expect(answer.toLowerCase()).to.include('x-alliance-facade: ');
    expect(keystone.requests.length).to.equal(from);
  });

  it('notices later, too, that Keystone has become a facade', async () => {
    const stranger = await startSandboxKeystone();
    const { port } = stranger;
    const behind = await openFacade(stranger);
    const [first] = [await openFacade(keystone)];
    // The place where a Keystone was is taken by a facade.
    await stranger.stop();
    const before = await openFacade(keystone, { address: { host: '127.0.0.1', port } });
    const answer = await behind.api.call('GET', '/users');
    for (const each of [first, before, behind]) await each.stop();
    expect(answer.status).to.equal(503);
  });

  it('starts while Keystone is down, and says 503 meanwhile', async () => {
    const facade = await openFacade(keystone, {
      authUrl: `http://127.0.0.1:${await findFreePort()}/v3`,
      log: silentLogger,
    });
    const answer = await facade.api.call('GET', '/users');
    await facade.stop();
    expect(answer.status).to.equal(503);
  });

  it('says when its address is taken', async () => {
    const facade = await openFacade(keystone);
    const error = await rejection(openFacade(keystone, { address: facade.face.address }), 'configuration');
    await facade.stop();
    expect([error.field, error.details]).to.deep.equal([
      'facade.listen',
      `Cannot listen on 127.0.0.1:${facade.face.address.port}: EADDRINUSE.`,
    ]);
  });

  it('is known by its URL, or by its address where that is one', () => {
    const at = { host: '127.0.0.1', port: 5000 };
    expect(rootOf(undefined, at, false)).to.equal('http://127.0.0.1:5000');
    expect(rootOf(undefined, { host: '::1', port: 5000 }, true)).to.equal('https://[::1]:5000');
    for (const url of ['https://x/identity', 'https://x/identity/', 'https://x/identity/v3', 'https://x/identity/v3/'])
      expect(rootOf(url, at, false)).to.equal('https://x/identity');
    for (const host of ['0.0.0.0', '::'])
      expect(refusal(() => rootOf(undefined, { host, port: 5000 }, false), 'configuration').field).to.equal(
        'facade.url',
      );
  });

  describe('TLS', () => {
    /** Common name of the certificate that is shown. */
    const nameAt = (url: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const asked = request(`${url}/v3`, { rejectUnauthorized: false, agent: false }, (answer) => {
          answer.resume();
          const { socket } = answer as unknown as { socket: import('node:tls').TLSSocket };
          resolve(`${answer.statusCode} ${socket.getPeerCertificate().subject.CN}`);
        });
        asked.on('error', reject).end();
      });

    it('serves with the certificate given, and with another one later', async () => {
      const facade = await openFacade(keystone, { tls: certified('first') });
      expect(await nameAt(facade.url)).to.equal('200 first');
      facade.face.renewTls(certified('second'));
      expect(await nameAt(facade.url)).to.equal('200 second');
      const { key } = certified('third');
      const broken = refusal(() => facade.face.renewTls({ key, cert: 'none' }), 'configuration');
      expect(broken.field).to.equal('facade.certificate_file');
      expect(await nameAt(facade.url)).to.equal('200 second');
      await facade.stop();
    });

    it('does not start with a certificate that is none, or whose key is another', async () => {
      const [one, other] = [certified('one'), certified('other')];
      for (const tls of [
        { key: one.key, cert: 'none' },
        { key: other.key, cert: one.cert },
      ])
        expect((await rejection(openFacade(keystone, { tls }), 'configuration')).field).to.equal(
          'facade.certificate_file',
        );
    });

    it('speaks no plain HTTP then', async () => {
      const facade = await openFacade(keystone, { tls: certified('first') });
      const answer = await sendRaw(facade.url, 'GET /v3 HTTP/1.1\r\nHost: x\r\n\r\n').catch(() => '');
      await facade.stop();
      expect(answer).not.to.include('200');
    });
  });
});
