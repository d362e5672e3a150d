/** The main job, end to end, whatever the Keystones are: two clouds pair, speak, and ask each other about tokens. */
import { expect } from 'chai';
import { endTrust } from '../../src/broker/partners.ts';
import type { Partner } from '../../src/model/partner.ts';
import { authenticate, validateToken } from '../../src/rproxy/auth.ts';
import { endpoints } from '../../src/rproxy/endpoints.ts';
import { ping } from '../../src/rproxy/ping.ts';
import { services } from '../../src/rproxy/services.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from './cloud.ts';
import { rejection } from './errors.ts';
import { createKeystoneApi, inDefault, passwordLogin, type RunningKeystone } from './keystoneApi.ts';
import { until } from './until.ts';

const password = 'correct horse battery staple';
const adminScope = { project: inDefault('admin') };
const guestUser = { name: 'guest', domain: { name: 'Default' } };

/** A user with an ordinary role in a project of its own, and an administrator's token to change things with. */
async function populate(keystone: RunningKeystone) {
  const api = createKeystoneApi(keystone.url);
  const admin = await api.login(passwordLogin('admin', keystone.adminPassword, adminScope));
  const project = await api.create(admin, 'project', { name: 'guests', domain_id: 'default' });
  const user = await api.create(admin, 'user', { name: 'guest', domain_id: 'default', password });
  await api.grant(admin, project.id, user.id, 'member');
  return { api, admin, project, user };
}

/** `open` starts a Keystone for a region; its `stop` is called here, also to see what happens without it. */
export function describeTwoClouds(
  name: string,
  open: (region: string) => Promise<RunningKeystone>,
  { timeoutMs = 20_000 }: { readonly timeoutMs?: number } = {},
): void {
  describe(`two clouds, with ${name}`, function () {
    this.timeout(timeoutMs);
    let keystones: RunningKeystone[] = [];
    let east: Cloud;
    let west: Cloud;
    let atEast: Partner;
    let atWest: Partner;
    let keystoneApi: Awaited<ReturnType<typeof populate>>;

    const login = (scope: unknown = { project: inDefault('guests') }) =>
      keystoneApi.api.login(passwordLogin('guest', password, scope));
    const ask = (token: string, soft = false) => validateToken(west.installation.pool, atWest, token, { soft });

    before(async function () {
      this.timeout(timeoutMs * 6);
      keystones = await Promise.all([open('east'), open('west')]);
      keystoneApi = await populate(keystones[0]!);
      const env = { ALLIANCE_PARTNERS__WEST__AUTHENTICATE: 'true' };
      [east, west] = await Promise.all([
        startCloud({ cloudId: 'east', kind: null, keystone: keystones[0]!, env }),
        startCloud({ cloudId: 'west', kind: 'Ed25519', keystone: keystones[1]! }),
      ]);
    });

    after(async () => {
      await stopClouds();
      await Promise.all(keystones.map((keystone) => keystone.stop()));
    });

    it('pair by invitation and code', async () => {
      ({ atInviter: atEast, atAcceptor: atWest } = await pairClouds(east, west, { role: 'consumer' }));
      expect([atEast.state, atEast.role, atEast.code]).to.deep.equal(['active', 'consumer', null]);
      expect([atWest.state, atWest.role, atWest.code]).to.deep.equal(['active', 'provider', null]);
      expect(atWest.keys[0]!.fingerprint).to.deep.equal(east.installation.view.current.identity.fingerprint);
      expect(atEast.keys[0]!.fingerprint).to.deep.equal(west.installation.view.current.identity.fingerprint);
    });

    it('ping each other over channels', async () => {
      expect((await ping(west.installation.pool, 'west', atWest)).cloudId).to.equal('east');
      expect((await ping(east.installation.pool, 'east', atEast)).cloudId).to.equal('west');
    });

    it('a valid token is valid, with the body as Keystone wrote it', async () => {
      const token = await login();
      const answer = await ask(token);
      if (answer.status !== 'valid') throw new Error(`It is ${answer.status}.`);
      const { admin } = keystoneApi;
      const direct = await keystoneApi.api.must('GET', '/auth/tokens', { token: admin, subject: token });
      expect(JSON.parse(answer.body ?? '').token.audit_ids).to.deep.equal(direct.at('token.audit_ids'));
      expect(answer.expiresAt).to.equal(Date.parse(String(direct.at('token.expires_at'))));
      const soft = await ask(token, true);
      expect(soft).to.deep.equal({ ...answer, body: null, facts: null });
    });

    it('a forged one is not, nor one of the other cloud', async () => {
      const token = await login();
      const forged = `${token.slice(0, -4)}${token.endsWith('AAAA') ? 'BBBB' : 'AAAA'}`;
      const own = await createKeystoneApi(keystones[1]!.url).login(
        passwordLogin('admin', keystones[1]!.adminPassword, adminScope),
      );
      for (const wrong of [forged, own]) {
        expect((await ask(wrong)).status).to.equal('invalid');
        expect((await ask(wrong, true)).status).to.equal('invalid');
      }
    });

    it('a revoked one is no longer', async () => {
      const token = await login();
      expect((await ask(token)).status).to.equal('valid');
      await keystoneApi.api.must('DELETE', '/auth/tokens', { token, subject: token });
      expect((await ask(token)).status).to.equal('invalid');
      expect((await ask(token, true)).status).to.equal('invalid');
    });

    it('an unknown one is indeterminate as long as Keystone is not asked', async () => {
      expect(await ask(await login(), true)).to.deep.equal({ status: 'indeterminate', reason: 'not_known' });
    });

    it('a user logs in at the other cloud, and the token is valid there', async () => {
      const { pool } = west.installation;
      const project = { name: 'guests', domain: { name: 'Default' } };
      const issued = await authenticate(pool, atWest, { kind: 'password', user: guestUser, password, project });
      expect((await ask(issued.token)).status).to.equal('valid');
      const { token } = JSON.parse(issued.body) as { token: Record<string, unknown> };
      expect(token).not.to.have.property('catalog');
      expect((token.project as { name: string }).name).to.equal('guests');
    });

    it('a wrong password and a privileged role get no token', async () => {
      const { pool } = west.installation;
      const user = { id: String(keystoneApi.user.id) };
      await rejection(authenticate(pool, atWest, { kind: 'password', user, password: 'guess' }), 'credentials_refused');
      const admin = { name: 'admin', domain: { name: 'Default' } };
      const project = { name: 'admin', domain: { name: 'Default' } };
      const asAdmin = { kind: 'password', user: admin, password: keystones[0]!.adminPassword, project } as const;
      await rejection(authenticate(pool, atWest, asAdmin), 'credentials_refused');
    });

    it('services and endpoints come as far as they are exported', async () => {
      const { pool } = west.installation;
      const known = await services(pool, atWest, { type: 'identity' });
      expect(known.map(({ type }) => type)).to.deep.equal(['identity']);
      const found = await endpoints(pool, atWest);
      expect(found.map((one) => one.interface)).to.deep.equal(['public']);
      expect(found[0]!.url).to.equal(keystones[0]!.url);
      expect(await endpoints(pool, atWest, { interface: 'admin' })).to.deep.equal([]);
      expect(await endpoints(pool, atWest, { region: 'nowhere' })).to.deep.equal([]);
    });

    it('the provider may not ask the consumer', async () => {
      await rejection(validateToken(east.installation.pool, atEast, 'x'), 'forbidden');
    });

    it('without its Keystone the issuer does not know, which is not invalid', async () => {
      const token = await login();
      expect((await ask(token)).status).to.equal('valid');
      await keystones[0]!.stop();
      expect(await ask(token)).to.deep.equal({ status: 'indeterminate', reason: 'keystone_unreachable' });
      expect((await ask(token, true)).status).to.equal('valid');
      expect((await ping(west.installation.pool, 'west', atWest)).cloudId).to.equal('east');
    });

    it('a revocation reaches the other side and ends everything', async () => {
      expect(await endTrust(west.installation, atWest, 'revoked')).to.deep.equal({ told: true });
      expect((await east.partner('west')).revokedBy).to.equal('partner');
      await rejection(ping(west.installation.pool, 'west', atWest), 'partner_not_active');
      await until('east refuses, too', async () => {
        const thrown = await ping(east.installation.pool, 'east', atEast).catch((error: unknown) => error);
        return (thrown as { errorName?: string }).errorName === 'partner_not_active';
      });
    });
  });
}
