import { expect } from 'chai';
import { isSignedBy, readTokenKey } from '../../src/crypto/tokenKey.ts';
import type { FaultKind } from '../../src/sandbox/keystone/faults.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { describeKeystone } from '../support/keystoneContract.ts';

describeKeystone('the embedded Keystone', () => startSandboxKeystone({ region: 'east' }));

describe('what the embedded Keystone adds', () => {
  let keystone: SandboxKeystone;
  let api: KeystoneApi;
  let now = Date.parse('2026-01-01T00:00:00.500Z');

  beforeEach(async () => {
    keystone = await startSandboxKeystone({
      clock: { now: () => now },
      tokenLifeMs: 60_000,
      users: [{ name: 'ann', password: 'pw-of-ann' }],
    });
    api = createKeystoneApi(keystone.url);
  });
  afterEach(() => keystone.stop());

  const demo = () => api.login(passwordLogin('demo', keystone.demoPassword));
  const admin = () => api.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));

  it('listens on loopback, with a project demo and the users asked for', async () => {
    expect(new URL(keystone.url).hostname).to.equal('127.0.0.1');
    const answer = await api.call('POST', '/auth/tokens', { body: passwordLogin('ann', 'pw-of-ann') });
    expect(answer.at('token.project.name')).to.equal('demo');
    expect(answer.at('token.issued_at')).to.equal('2026-01-01T00:00:00.000000Z');
  });

  it('lets tokens expire by its clock, and shows them for 48 hours more on allow_expired', async () => {
    const [subject, validator] = [await demo(), keystone.state];
    const status = async (search: string) => {
      const token = await admin();
      return (await api.call('GET', `/auth/tokens${search}`, { token, subject })).status;
    };
    now += 59_000;
    expect(await status('')).to.equal(200);
    now += 1000;
    expect(await status('')).to.equal(404);
    expect(await status('?allow_expired=1')).to.equal(200);
    now += 48 * 3600_000;
    expect(await status('?allow_expired=1')).to.equal(404);
    expect(validator.tokens.has(subject)).to.equal(true);
  });

  it("signs tokens as Keystone's JWS provider does, where asked to", async () => {
    const signing = await startSandboxKeystone({ clock: { now: () => now }, tokenProvider: 'jws' });
    try {
      const other = createKeystoneApi(signing.url);
      const token = await other.login(passwordLogin('demo', signing.demoPassword));
      const [header, payload, signature] = token.split('.').map((part) => Buffer.from(part, 'base64url')) as [
        Buffer,
        Buffer,
        Buffer,
      ];
      expect(JSON.parse(header.toString())).to.deep.equal({ alg: 'ES256', typ: 'JWT' });
      const claims = JSON.parse(payload.toString()) as Record<string, unknown>;
      expect(Object.keys(claims)).to.deep.equal([
        'sub',
        'iat',
        'exp',
        'openstack_methods',
        'openstack_audit_ids',
        'openstack_project_id',
      ]);
      const signed = Buffer.from(token.slice(0, token.lastIndexOf('.')));
      expect(isSignedBy(readTokenKey(signing.tokenKeyPem!).key, signed, signature)).to.equal(true);
      const subject = { token, subject: token };
      const shown = await other.call('GET', '/auth/tokens', subject);
      expect([shown.status, shown.at('token.user.id')]).to.deep.equal([200, claims.sub]);
      expect(Date.parse(String(shown.at('token.expires_at')))).to.equal(Number(claims.exp) * 1000);
      expect(keystone.tokenKeyPem).to.equal(null);
    } finally {
      await signing.stop();
    }
  });

  it('remembers what was asked', async () => {
    await api.call('GET', '/regions?a=b');
    expect(keystone.requests.at(-1)).to.deep.equal({ method: 'GET', path: '/v3/regions?a=b' });
  });

  it('frees its port and closes connections when stopped', async () => {
    await api.call('GET', '');
    await keystone.stop();
    await keystone.stop();
    const again = await startSandboxKeystone({ port: keystone.port });
    expect(again.url).to.equal(keystone.url);
    await again.stop();
  });

  const statuses: readonly [FaultKind, number][] = [
    ['500', 500],
    ['503', 503],
    ['401', 401],
    ['403', 403],
    ['malformed', 200],
    ['empty', 200],
    ['html', 404],
  ];
  for (const [kind, status] of statuses)
    it(`fails on demand: ${kind}`, async () => {
      keystone.faults.next(kind, { retryAfterS: 7 });
      const answer = await api.call('GET', '');
      expect(answer.status).to.equal(status);
      expect(answer.headers.get('retry-after')).to.equal(status > 400 && kind !== 'html' ? '7' : null);
      if (kind === 'malformed') expect(() => JSON.parse(answer.text)).to.throw(SyntaxError);
      if (kind === 'html') expect(answer.headers.get('content-type')).to.include('text/html');
      expect((await api.call('GET', '')).at('version.status')).to.equal('stable');
    });

  for (const kind of ['down', 'truncated'] as const)
    it(`breaks connections on demand: ${kind}`, async () => {
      keystone.faults.next(kind);
      const failed = await api.call('GET', '').then(
        () => false,
        () => true,
      );
      expect(failed).to.equal(true);
      expect((await api.call('GET', '')).status).to.equal(200);
    });

  it('is slow on demand, and true all the same', async () => {
    keystone.faults.next('slow', { delayMs: 80 });
    const start = performance.now();
    expect((await api.call('GET', '')).at('version.status')).to.equal('stable');
    expect(performance.now() - start).to.be.greaterThan(70);
  });

  it('fails for what matches only, as often as asked or until cleared', async () => {
    const { faults } = keystone;
    faults.next('500', { count: 2, match: { method: 'POST', path: /tokens/ } });
    const post = () => api.call('POST', '/auth/tokens', { body: {} });
    expect((await api.call('GET', '')).status).to.equal(200);
    expect([(await post()).status, (await post()).status, (await post()).status]).to.deep.equal([500, 500, 400]);
    faults.always('503');
    for (let round = 0; round < 3; round += 1) expect((await post()).status).to.equal(503);
    faults.clear();
    expect((await post()).status).to.equal(400);
    expect(faults.hits).to.equal(5);
  });
});
