/** Token and catalog calls of a partner, against a broker and a Keystone that run. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { keystoneLimits, partnerLimits, tokenLimits, wireLimits } from '../../src/core/limits.ts';
import { createLogger } from '../../src/core/log.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import {
  ApplicationCredentials,
  AuthenticateRequest,
  EndpointFilter,
  IndeterminateReason,
  NamedReference,
  PasswordCredentials,
  RevokeTokenRequest,
  ServiceFilter,
  TokenStatus,
  toNumber,
  ValidateTokenRequest,
} from '../../src/wire/types.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { createKeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import type { RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

/** What a broker asks Keystone by itself, in the background. */
const background = /OS-REVOKE|regions/;

const inDomain = (name: string) => new NamedReference({ name, domain_id: 'default' });
const inNamedDomain = (name: string) => new NamedReference({ name, domain_name: 'Default' });

describe('token calls of a partner', () => {
  const clock = createShiftedClock();
  let keystone: SandboxKeystone;
  let cloud: Cloud;
  let raw: RawPeer;
  let stranger: RawPeer;
  let logged = '';

  before(async () => {
    keystone = await startSandboxKeystone({
      region: 'east',
      users: [{ name: 'guest', password: 'pass-word-of-guest' }],
    });
    const destination = new Writable({
      write: (chunk, _encoding, done) => {
        logged += chunk;
        done();
      },
    });
    cloud = await startCloud({
      cloudId: 'east',
      clock,
      keystone,
      log: createLogger({ level: 'trace', destination }),
      env: {
        ALLIANCE_PARTNERS__PEER__AUTHENTICATE: 'true',
        ALLIANCE_EXPORTS__SERVICES: 'identity,image',
        ALLIANCE_TOKENS__PRIVILEGED_ROLES: 'auditor,K\u2161',
        ALLIANCE_TOKENS__SERVICE_TOKEN_ROLES: 'robot',
        ALLIANCE_EXPORTS__REGIONS: 'east',
      },
    });
    raw = await (await PartnerPeer.join(cloud)).channel();
    stranger = await (await PartnerPeer.join(cloud, 'north')).channel();
  });
  afterEach(() => keystone.faults.clear());
  after(async () => {
    await stopClouds();
    await keystone.stop();
  });

  const asked = () => keystone.requests.filter(({ path }) => !background.test(path)).length;
  const login = () => createKeystoneApi(keystone.url).login(passwordLogin('demo', keystone.demoPassword));
  const hard = (token: string, by = raw) => by.call('validateTokenHard', new ValidateTokenRequest({ token }));
  const soft = (token: string, by = raw) => by.call('validateTokenSoft', new ValidateTokenRequest({ token }));
  const authenticate = (fields: Partial<AuthenticateRequest>, by = raw) =>
    by.call('authenticate', new AuthenticateRequest(fields));
  const byPassword = (user: NamedReference, password: string) => ({
    password: new PasswordCredentials({ user, password }),
  });

  describe('validate', () => {
    it('refuses what cannot be a token of this cloud, without asking Keystone', async () => {
      const seen = asked();
      for (const token of ['', 'a b', 'a\nb', 'a1.east.gAAAA', 'ä', 'x'.repeat(tokenLimits.tokenBytes + 1), '../../x'])
        for (const ask of [hard, soft]) await rejection(ask(token), 'token_form_refused');
      expect(asked()).to.equal(seen);
    });

    it('calls no other spelling of a token valid, without asking Keystone, which would', async () => {
      const token = await login();
      expect((await hard(token)).status).to.equal(TokenStatus.VALID);
      const seen = asked();
      for (const other of [`${token}====`, `....${token}`, `${token.slice(0, 10)}....${token.slice(10)}`]) {
        for (const ask of [hard, soft]) {
          const answer = await ask(other);
          expect(answer.status).to.equal(TokenStatus.INVALID);
          expect(answer.checked_at).not.to.equal(undefined);
        }
        const ended = await raw.call('revokeToken', new RevokeTokenRequest({ token: other }));
        expect(ended.was_valid).to.equal(false);
      }
      expect(asked()).to.equal(seen);
      expect((await soft(token)).status).to.equal(TokenStatus.VALID);
    });

    it('is indeterminate, and says why, when Keystone fails in any way; never invalid', async () => {
      const token = await login();
      expect((await hard(token)).status).to.equal(TokenStatus.VALID);
      const faults = [
        ['down', IndeterminateReason.KEYSTONE_UNREACHABLE],
        ['500', IndeterminateReason.KEYSTONE_UNREACHABLE],
        ['malformed', IndeterminateReason.KEYSTONE_MALFORMED],
        ['empty', IndeterminateReason.KEYSTONE_MALFORMED],
        ['html', IndeterminateReason.KEYSTONE_MALFORMED],
        ['403', IndeterminateReason.KEYSTONE_REFUSED],
      ] as const;
      for (const [kind, reason] of faults) {
        keystone.faults.always(kind, { match: { path: /auth.tokens/ } });
        const answer = await hard(token);
        expect([answer.status, answer.reason], kind).to.deep.equal([TokenStatus.INDETERMINATE, reason]);
        expect(answer.body ?? null).to.equal(null);
        keystone.faults.clear();
        expect((await soft(token)).status, kind).to.equal(TokenStatus.VALID);
      }
    });

    it("warns the operator once a minute that Keystone refuses the broker's credentials", async () => {
      const token = await login();
      keystone.faults.always('403', { match: { path: /auth.tokens/ } });
      clock.advance(60_000);
      const before = logged.length;
      const warnings = () =>
        logged
          .slice(before)
          .split('\n')
          .filter((line) => line.includes('"keystone_refused"'))
          .map((line) => JSON.parse(line).level);
      for (let n = 0; n < 3; n++) await hard(token);
      expect(warnings()).to.deep.equal(['warn']);
      clock.advance(60_000);
      await hard(token);
      expect(warnings()).to.deep.equal(['warn', 'warn']);
      keystone.faults.clear();
      keystone.faults.always('403', { match: { path: /services/ } });
      await rejection(raw.call('getServices', new ServiceFilter({})), 'keystone_refused');
      expect(warnings()).to.deep.equal(['warn', 'warn', 'warn']);
    });

    it('softly asks Keystone never, and forgets in time', async () => {
      const token = await login();
      await hard(token);
      const seen = asked();
      for (let n = 0; n < 20; n++) expect((await soft(token)).status).to.equal(TokenStatus.VALID);
      expect((await soft(token, stranger)).status).to.equal(TokenStatus.VALID);
      clock.elapse(tokenLimits.softCacheMs + 1);
      await cloud.installation.view.refresh();
      expect((await soft(token)).reason).to.equal(IndeterminateReason.NOT_KNOWN);
      expect(asked()).to.equal(seen);
    });

    it('a revocation counts although the question waited in line while another was answered', async () => {
      const token = await login();
      const [hits, match] = [keystone.faults.hits, { method: 'GET', path: /auth.tokens/ }];
      keystone.faults.next('slow', { count: partnerLimits.keystoneConcurrency, delayMs: 2000, match });
      const others = Array.from({ length: partnerLimits.keystoneConcurrency }, () => hard('forged'));
      await until('they are with Keystone', () => keystone.faults.hits - hits === others.length);
      const waiting = hard(token);
      clock.advance(1000);
      const [before, askedAt] = [await hard(token, stranger), clock.now()];
      expect(before.status).to.equal(TokenStatus.VALID);
      await createKeystoneApi(keystone.url).must('DELETE', '/auth/tokens', { token, subject: token });
      const after = await waiting;
      expect(after.status).to.equal(TokenStatus.INVALID);
      expect(toNumber(after.checked_at!)).to.be.at.least(askedAt);
      expect((await soft(token)).status).to.equal(TokenStatus.INVALID);
      await Promise.all(others);
    });

    it('what Keystone said last counts', async () => {
      const token = await login();
      expect((await hard(token)).status).to.equal(TokenStatus.VALID);
      await createKeystoneApi(keystone.url).must('DELETE', '/auth/tokens', { token, subject: token });
      clock.advance(1);
      expect((await hard(token)).status).to.equal(TokenStatus.INVALID);
      expect((await soft(token)).status).to.equal(TokenStatus.INVALID);
    });
  });

  describe('authenticate', () => {
    it('is off unless this partner has it', async () => {
      const seen = asked();
      await rejection(authenticate(byPassword(inDomain('guest'), 'pass-word-of-guest'), stranger), 'not_exported');
      expect(asked()).to.equal(seen);
    });

    it('gives a token, without the catalog', async () => {
      const issued = await authenticate({
        ...byPassword(inDomain('guest'), 'pass-word-of-guest'),
        project: inDomain('demo'),
      });
      expect(JSON.parse(issued.body).token).not.to.have.property('catalog');
      expect((await soft(issued.token)).status).to.equal(TokenStatus.VALID);
    });

    it('takes an application credential, and no project with it', async () => {
      const api = createKeystoneApi(keystone.url);
      const token = await login();
      const userId = (await api.must('GET', '/auth/tokens', { token, subject: token })).at('token.user.id');
      const made = await api.must('POST', `/users/${userId}/application_credentials`, {
        token,
        body: { application_credential: { name: 'for the broker', secret: 'application-secret' } },
      });
      const id = String(made.at('application_credential.id'));
      const credential = new ApplicationCredentials({ id, secret: 'application-secret' });
      const issued = await authenticate({ application_credential: credential });
      expect(JSON.parse(issued.body).token.methods).to.deep.equal(['application_credential']);
      await rejection(authenticate({ application_credential: credential, project: inDomain('demo') }), 'bad_request');
      const wrong = new ApplicationCredentials({ id, secret: 'guess' });
      await rejection(authenticate({ application_credential: wrong }), 'credentials_refused');
    });

    it('takes exactly one of the credentials, and names that are whole', async () => {
      const password = 'x';
      const wrongs: Partial<AuthenticateRequest>[] = [
        {},
        {
          ...byPassword(inDomain('a'), 'b'),
          application_credential: new ApplicationCredentials({ id: 'a', secret: 'b' }),
        },
        byPassword(new NamedReference({}), password),
        byPassword(new NamedReference({ name: 'a' }), password),
        byPassword(new NamedReference({ name: 'a', domain_id: 'b', domain_name: 'c' }), password),
        byPassword(new NamedReference({ id: 'a', name: 'b' }), password),
        byPassword(inDomain('x'.repeat(256)), password),
        ...['a ', ' a', 'a\u00a0', 'a\n', 'a\0b', '\ta', 'a\u2003'].map((name) => byPassword(inDomain(name), password)),
        byPassword(new NamedReference({ id: 'a ' }), password),
        byPassword(new NamedReference({ name: 'a', domain_id: 'default ' }), password),
        byPassword(new NamedReference({ name: 'a', domain_name: ' Default' }), password),
        { application_credential: new ApplicationCredentials({ id: 'a ', secret: 'x' }) },
        byPassword(inDomain('a'), ''),
        byPassword(inDomain('a'), 'x'.repeat(tokenLimits.passwordBytes + 1)),
        { ...byPassword(inDomain('a'), password), project: new NamedReference({ name: 'p' }) },
        { application_credential: new ApplicationCredentials({ id: '', secret: 'x' }) },
      ];
      const seen = asked();
      for (const wrong of wrongs) await rejection(authenticate(wrong), 'bad_request');
      expect(asked()).to.equal(seen);
    });

    it('gives no privileged token, revokes it at home, and does not tell that the password was right', async () => {
      const asked = (password: string) => ({
        ...byPassword(inDomain('admin'), password),
        project: inDomain('admin'),
      });
      const { refusalDelayMs } = tokenLimits;
      const timed = async (password: string) => {
        const startedAt = performance.now();
        const { code, message } = await rejection(authenticate(asked(password)), 'credentials_refused');
        expect(performance.now() - startedAt).to.be.within(refusalDelayMs - 2, 2 * refusalDelayMs - 50);
        return { code, message };
      };
      const seen = keystone.requests.length;
      keystone.faults.next('slow', { match: { method: 'DELETE' }, delayMs: 2 * refusalDelayMs });
      const [right, wrong] = [await timed(keystone.adminPassword), await timed('a guess')];
      expect(right).to.deep.equal(wrong);
      await until('it is revoked', () => keystone.requests.slice(seen).some(({ method }) => method === 'DELETE'));
      expect(logged).to.contain('They are right, and the token would have a privileged role.');
      expect(right.message).not.to.contain('privileged');
    });

    it('logs when a privileged token was not revoked', async () => {
      const asked = { ...byPassword(inDomain('admin'), keystone.adminPassword), project: inDomain('admin') };
      keystone.faults.next('500', { match: { method: 'DELETE' } });
      await rejection(authenticate(asked), 'credentials_refused');
      await until('it is logged', () => logged.includes('A privileged token was not revoked.'));
    });

    for (const name of ['Manager', 'Auditor', 'kII', 'ROBOT'])
      it(`the role ${name} is privileged, by itself or because the operator says so, whatever the case of its name`, async () => {
        const { state } = keystone;
        const user = state.addUser(`has-${name}`, 'loud-password');
        const project = [...state.projects.values()].find((each) => each.name === 'demo')!;
        state.grant(user.id, state.addRole(name).id, { kind: 'project', id: project.id });
        await rejection(
          authenticate({ ...byPassword(inDomain(user.name), 'loud-password'), project: inDomain('demo') }),
          'credentials_refused',
        );
      });

    it('lets few guesses a minute through, of whatever spelling, and others of other users', async () => {
      const guess = (user: NamedReference) => authenticate(byPassword(user, 'guess'));
      const spellings = [
        inDomain('target-user'),
        inNamedDomain('target-user'),
        inDomain('Target-User'),
        inDomain('TARGET-USER'),
        inDomain('tárget-üser'),
        inDomain('tárget-usér'),
        inDomain('ｔarget-user'),
        inDomain('tar\u200bget-u\u017fer'),
      ];
      const { authenticatePerMinute } = tokenLimits;
      const guesses = Array.from({ length: authenticatePerMinute }, (_, n) => guess(spellings[n % spellings.length]!));
      for (const guessed of guesses) await rejection(guessed, 'credentials_refused');
      const seen = asked();
      for (const spelling of spellings) {
        const refusal = await rejection(guess(spelling), 'rate_limited');
        expect(refusal.retryAfterMs).to.be.within(1, 12_000);
      }
      expect(asked()).to.equal(seen);
      await rejection(guess(inDomain('another-user')), 'credentials_refused');
      clock.advance(12_000);
      await rejection(guess(inDomain('target-user')), 'credentials_refused');
    });
  });

  it('logins of all users together are few, as one user has more than one name', async () => {
    const perMinute = 3;
    const narrow = await startCloud({
      cloudId: 'narrow',
      clock,
      keystone,
      env: {
        ALLIANCE_PARTNERS__PEER__AUTHENTICATE: 'true',
        ALLIANCE_PARTNERS__NORTH__AUTHENTICATE: 'true',
        ALLIANCE_LIMITS__AUTHENTICATE_PER_MINUTE_PER_PARTNER: `${perMinute}`,
      },
    });
    const peer = await (await PartnerPeer.join(narrow)).channel();
    const other = await (await PartnerPeer.join(narrow, 'north')).channel();
    const guess = (id: string, by = peer) => authenticate(byPassword(new NamedReference({ id }), 'guess'), by);
    const guesses = Array.from({ length: perMinute }, (_, n) => guess(`user-${n}`));
    for (const guessed of guesses) await rejection(guessed, 'credentials_refused');
    const seen = asked();
    const refusal = await rejection(guess('one-more'), 'rate_limited');
    expect(refusal.retryAfterMs).to.be.within(1, 60_000 / perMinute);
    expect(asked()).to.equal(seen);
    await rejection(guess('one-more', other), 'credentials_refused');
    clock.advance(60_000 / perMinute);
    await rejection(guess('one-more'), 'credentials_refused');
  });

  describe('the catalog', () => {
    before(() => {
      const { state } = keystone;
      const image = state.addService('image', 'glance');
      const compute = state.addService('compute', 'nova');
      for (const [serviceId, each, regionId, url] of [
        [image.id, 'public', 'east', 'https://glance.east'],
        [image.id, 'internal', 'east', 'http://10.0.0.7:9292'],
        [image.id, 'admin', 'east', 'http://10.0.0.8:9292'],
        [image.id, 'public', 'east2', 'https://glance.east2'],
        [compute.id, 'public', 'east', 'https://nova.east'],
      ] as const)
        state.addEndpoint({ serviceId, interface: each, regionId, url });
    });

    it('shows services that are exported, of a type or name', async () => {
      const types = async (filter: ConstructorParameters<typeof ServiceFilter>[0]) =>
        (await raw.call('getServices', new ServiceFilter(filter))).map(({ type }) => type).sort();
      expect(await types({})).to.deep.equal(['identity', 'image']);
      expect(await types({ type: 'image' })).to.deep.equal(['image']);
      expect(await types({ type: 'compute' })).to.deep.equal([]);
      expect(await types({ name: 'glance' })).to.deep.equal(['image']);
    });

    it('is not asked by texts that are longer than any name', async () => {
      const seen = asked();
      const [fits, long] = ['x'.repeat(keystoneLimits.filterBytes), 'ä'.repeat(128)];
      for (const field of ['type', 'name']) {
        expect(await raw.call('getServices', new ServiceFilter({ [field]: fits }))).to.deep.equal([]);
        await rejection(raw.call('getServices', new ServiceFilter({ [field]: long })), 'bad_request');
      }
      for (const field of ['type', 'region', 'interface_name']) {
        expect(await raw.call('getEndpoints', new EndpointFilter({ [field]: fits }))).to.deep.equal([]);
        const refusal = await rejection(raw.call('getEndpoints', new EndpointFilter({ [field]: long })), 'bad_request');
        expect(refusal.message).to.contain(field);
      }
      const huge = new ServiceFilter({ type: 'x'.repeat(wireLimits.stringBytes - 1000) });
      await rejection(raw.call('getServices', huge), 'bad_request');
      expect(keystone.requests.slice(seen).every(({ path }) => path.length < 400)).to.equal(true);
    });

    it('shows endpoints that are exported, by type, region and interface', async () => {
      const urls = async (filter: ConstructorParameters<typeof EndpointFilter>[0]) =>
        (await raw.call('getEndpoints', new EndpointFilter(filter))).map(({ url }) => url).sort();
      const all = [keystone.url, 'https://glance.east'].sort();
      expect(await urls({})).to.deep.equal(all);
      expect(await urls({ type: 'image' })).to.deep.equal(['https://glance.east']);
      expect(await urls({ type: 'compute' })).to.deep.equal([]);
      expect(await urls({ region: 'east2' })).to.deep.equal([]);
      expect(await urls({ interface_name: 'internal' })).to.deep.equal([]);
      expect(await urls({ interface_name: 'public', region: 'east' })).to.deep.equal(all);
    });
  });

  it('without a Keystone there is nothing to ask', async () => {
    const bare = await startCloud({ cloudId: 'bare', clock });
    await bare.stopBroker();
    const path = join(bare.home, 'alliance.yaml');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^( *)auth_url:.*$/m, '$1# none'));
    for (const name of Object.keys(bare.env)) if (name.startsWith('ALLIANCE_KEYSTONE')) delete bare.env[name];
    await bare.startBroker();
    const peer = await (await PartnerPeer.join(bare)).channel();
    await rejection(hard('gAAAA', peer), 'not_exported');
    await rejection(peer.call('getServices', new ServiceFilter({})), 'not_exported');
    expect((await peer.ping()).response_data).to.equal('pong');
  });

  it('no token and no password is in the log, in the metrics or in the database', async () => {
    const token = await login();
    await hard(token);
    await authenticate(byPassword(inDomain('guest'), 'pass-word-of-guest'));
    await rejection(authenticate(byPassword(inDomain('secretive'), 'guessed-pass-word')), 'credentials_refused');
    keystone.faults.next('down', { count: 5 });
    await hard(token);
    await delay(50);
    const http = cloud.broker.addresses.http!;
    const metrics = await (await fetch(`http://127.0.0.1:${http.port}/metrics`)).text();
    const files = readdirSync(cloud.home).filter((name) => name.startsWith('alliance.db'));
    const stored = files.map((name) => readFileSync(join(cloud.home, name), 'latin1'));
    expect(logged.length).to.be.greaterThan(300);
    for (const text of [logged, metrics, ...stored])
      for (const secret of [
        token,
        'pass-word-of-guest',
        'guessed-pass-word',
        keystone.adminPassword,
        'application-secret',
      ])
        expect(text.includes(secret)).to.equal(false);
  });
});
