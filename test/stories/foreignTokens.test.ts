/** Tokens of east as west sees them: recognised, valid, revoked, expired, and what is left of them while east is away. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import { foreignLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import type { ForeignVerdict, Recognised } from '../../src/token/foreign.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { runCommand } from '../support/commandLine.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { rejection } from '../support/errors.ts';
import { checked } from '../support/jsonSchema.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';

const rules = [
  {
    local: [{ user: { name: '{0}' } }, { projects: [{ name: 'demo', roles: [{ name: 'member' }] }] }],
    remote: [{ type: 'openstack_user' }],
  },
];

describe("partners' tokens", function () {
  this.timeout(40_000);
  const clock = createShiftedClock();
  const pauses = { bundleMs: 100 };
  let keys: TemporaryDirectory;
  let keystone: SandboxKeystone;
  let api: KeystoneApi;
  let east: Cloud;
  let west: Cloud;
  let atEast: Partner;
  let atWest: Partner;

  const foreign = () => west.broker.federation.foreign;
  const login = () => api.login(passwordLogin('demo', keystone.demoPassword));
  const recognised = (token: string) => foreign().recogniseFirst(token) as Recognised;
  const validate = (token: string, allowExpired = false): Promise<ForeignVerdict> =>
    foreign().validate(recognised(`a1.east.${token}`), { allowExpired });
  const kindOf = async (token: string, allowExpired = false): Promise<string> => {
    const verdict = await validate(token, allowExpired);
    return verdict.kind === 'valid' ? verdict.source : verdict.kind === 'undecided' ? verdict.reason : verdict.kind;
  };
  const asked = () => keystone.requests.filter(({ method, path }) => method === 'GET' && /tokens\?/.test(path)).length;
  const followed = () => until('revocations are followed', () => west.broker.federation.marks.confirmedAt(atWest.uid));

  before(async () => {
    keys = temporaryDirectory();
    keystone = await startSandboxKeystone({ region: 'east', clock, tokenProvider: 'jws' });
    writeFileSync(join(keys.path, 'public.pem'), keystone.tokenKeyPem!);
    api = createKeystoneApi(keystone.url);
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', keystone, clock, env: { ALLIANCE_TOKENS__JWS_KEYS: keys.path } }),
      startCloud({ cloudId: 'west', clock, pauses }),
    ]);
    ({ atInviter: atEast, atAcceptor: atWest } = await pairClouds(east, west, { role: 'consumer' }));
    await west.installation.store.mappings.set(atWest.uid, JSON.stringify(rules));
    await followed();
  });
  after(async () => {
    await stopClouds();
    await keystone.stop();
    keys.remove();
  });

  it('a qualified one: east is asked once, and 500 who ask at a time are one', async () => {
    const token = await login();
    const before = asked();
    const verdicts = await Promise.all(Array.from({ length: 500 }, () => kindOf(token)));
    expect(new Set(verdicts)).to.deep.equal(new Set(['live']));
    expect(await kindOf(token)).to.equal('cache');
    expect(asked() - before).to.equal(1);
    expect(await kindOf('nobodys')).to.equal('invalid');
    for (const unusable of ['a1.north.x', 'a1.west.x', `a1.east.a1.east.${token}`, 'a1.'])
      expect(foreign().recogniseFirst(unusable)).to.equal('unusable');
  });

  it('a signed one: by the key that east publishes, with nobody asked whose it is', async () => {
    const token = await login();
    await until('the key is known', () => foreign().recogniseFirst(token));
    expect(recognised(token).by).to.equal('jws');
    expect(await foreign().validate(recognised(token), { allowExpired: false })).to.include({ source: 'live' });
    const [first, second, third] = token.split('.') as [string, string, string];
    expect(foreign().recogniseFirst(`${first}.${second}x.${third}`)).to.equal(undefined);
  });

  it('revoked in east, refused in west within 5 s', async () => {
    const token = await login();
    await until('it is remembered', async () => (await kindOf(token)) === 'cache');
    await api.call('DELETE', '/auth/tokens', { token, subject: token });
    const startedAt = performance.now();
    await until('it is refused', async () => (await kindOf(token)) === 'invalid', 6000);
    expect(performance.now() - startedAt).to.be.lessThan(foreignLimits.confirmedMs);
  });

  it('revoked in west: carried home', async () => {
    const token = await login();
    await kindOf(token);
    expect(await foreign().revoke(recognised(`a1.east.${token}`))).to.equal(true);
    expect(await kindOf(token)).to.equal('invalid');
    expect(await foreign().revoke(recognised(`a1.east.${token}`))).to.equal(false);
  });

  it('known from an earlier search, and by a hint; of a stranger nobody knows whether east has issued it', async () => {
    const bare = (token: string) => foreign().recogniseLast(token);
    const asks = west.installation.config.tokens;
    const set = (tokens: object) => {
      west.installation.config = { ...west.installation.config, tokens: { ...asks, jws: false, ...tokens } };
    };
    set({ ask: 'hint' });
    await rejection(bare(await login()), 'unreachable');
    const token = await login();
    // East comes to know it when somebody asks about it; that alone makes it nobody's here.
    await validate(token);
    set({});
    expect(await bare(token)).to.equal(undefined);
    set({ ask: 'hint' });
    const found = await bare(token);
    expect(found?.by).to.equal('hint');
    await foreign().validate(found!, { allowExpired: false });
    set({});
    expect((await bare(token))?.by).to.equal('known');
    west.installation.config = { ...west.installation.config, tokens: asks };
  });

  describe('on the command line', () => {
    const run = (argv: string[], input?: string) =>
      runCommand(argv, { home: west.home, env: west.env, ...(input !== undefined && { input }) });

    it('qualify', async () => {
      expect((await run(['token', 'qualify', '-', '--cloud', 'east'], 'abc\n')).stdout).to.equal('a1.east.abc\n');
      const json = await run(['token', 'qualify', 'abc', '--cloud', 'east', '--json']);
      checked('token-qualify', JSON.parse(json.stdout));
      expect((await run(['token', 'qualify', 'a b', '--cloud', 'east'])).code).to.equal(1);
      expect((await run(['token', 'qualify', 'a1.east.x', '--cloud', 'east'])).code).to.equal(1);
    });

    it('explain: whose, how, what its issuer says, which rules, which headers; and no token', async () => {
      const token = await login();
      await until('the key is known', () => foreign().recogniseFirst(token));
      const { code, stdout } = await run(['token', 'explain', '-', '--json'], token);
      const explained = JSON.parse(stdout) as Record<string, unknown>;
      checked('token-explain', explained);
      expect(code, stdout).to.equal(0);
      expect(explained).to.deep.include({ outcome: 'accepted', issuer: 'east', by: 'jws' });
      const headers = explained.headers as Record<string, string>;
      expect(headers).to.include({
        'X-Identity-Status': 'Confirmed',
        'X-User-Name': 'demo',
        'X-Project-Name': 'demo',
        'X-Is-Admin-Project': 'False',
      });
      expect(headers['X-Roles']!.split(',')).to.include('member');
      const text = await run(['token', 'explain', '-'], `a1.east.${token}`);
      expect(text.stdout).to.contain('east, by qualified').and.to.contain('X-User-Id: ');
      for (const shown of [stdout, text.stdout]) expect(shown).not.to.contain(token.slice(20, 60));
    });

    it("explain: refused, own, nobody's", async () => {
      await west.installation.store.mappings.set(atWest.uid, null);
      const denied = await run(['token', 'explain', '-', '--json'], `a1.east.${await login()}`);
      await west.installation.store.mappings.set(atWest.uid, JSON.stringify(rules));
      checked('token-explain', JSON.parse(denied.stdout));
      expect([denied.code, JSON.parse(denied.stdout).mapping.reason]).to.deep.equal([1, 'no_mapping']);
      const admin = passwordLogin('admin', west.keystone.adminPassword, { project: inDefault('admin') });
      const own = await run(
        ['token', 'explain', '-', '--json'],
        await createKeystoneApi(west.keystone.url).login(admin),
      );
      expect([own.code, JSON.parse(own.stdout).issuer]).to.deep.equal([0, 'local']);
      const nobodys = await run(['token', 'explain', 'nobodys', '--json']);
      checked('token-explain', JSON.parse(nobodys.stdout));
      expect([nobodys.code, JSON.parse(nobodys.stdout).issuer]).to.deep.equal([1, null]);
    });

    it('a key of two clouds recognises nobody until the operator decides', async () => {
      const north = await startCloud({ cloudId: 'north', clock, env: { ALLIANCE_TOKENS__JWS_KEYS: keys.path } });
      await pairClouds(north, west, { role: 'consumer' });
      const token = await login();
      await until('nobody is recognised', () => foreign().recogniseFirst(token) === undefined);
      expect(await west.metric('alliance_refusals_total', { reason: 'token_key_known' })).to.equal(1);
      const { attention } = JSON.parse((await run(['status', '--json'])).stdout) as { attention: { kind: string }[] };
      expect(attention.filter(({ kind }) => kind === 'token_key')).to.have.length(2);
      const listed = JSON.parse((await run(['token', 'keys', '--json'])).stdout) as { keys: { fingerprint: string }[] };
      checked('token-keys', listed);
      const { fingerprint } = listed.keys[0]!;
      const chosen = await run(['token', 'trust-key', fingerprint, '--partner', 'east', '--json']);
      checked('token-trust-key', JSON.parse(chosen.stdout));
      await until('east is recognised', () => foreign().recogniseFirst(token));
      expect(recognised(token).partner.cloudId).to.equal('east');
      expect((await run(['token', 'trust-key', 'SHA256:AB', '--partner', 'east'])).code).to.equal(2);
      await north.stop();
    });
  });

  describe('as time goes by', () => {
    it('expired: invalid, and still shown to who asks for expired ones', async () => {
      const token = await login();
      expect(await kindOf(token)).to.equal('live');
      clock.advance(3_600_000);
      const before = asked();
      expect((await foreign().validate(recognised(token), { allowExpired: false })).kind).to.equal('invalid');
      expect(asked()).to.equal(before);
      expect(await kindOf(token, true)).to.equal('live');
      expect(await kindOf(token)).to.equal('invalid');
    });

    it('suspended: unusable within a second, and nothing is remembered', async () => {
      const token = await login();
      await kindOf(token);
      const second = await west.openSecond();
      await second.store.partners.apply(atWest.uid, 'suspend');
      const startedAt = performance.now();
      await until('it is unusable', () => foreign().recogniseFirst(`a1.east.${token}`) === 'unusable');
      expect(performance.now() - startedAt).to.be.lessThan(1000);
      await second.store.partners.apply(atWest.uid, 'resume');
      await until('it is usable', () => foreign().recogniseFirst(`a1.east.${token}`) !== 'unusable');
      expect(await kindOf(token)).to.equal('live');
      expect(east.installation.view.stateOf(atEast)).to.equal('active');
    });

    it('east away: undecided; where that is allowed the last answer, for a while; revoked meanwhile: refused before it counts', async () => {
      const [token, ended] = [await login(), await login()];
      await until(
        'they are remembered',
        async () => (await kindOf(token)) === 'cache' && (await kindOf(ended)) === 'cache',
      );
      await east.stopBroker();
      clock.elapse(foreignLimits.confirmedMs + 1);
      await west.installation.view.refresh();
      expect(await kindOf(token)).to.be.oneOf(['unreachable', 'connection_lost', 'circuit_open']);
      const file = join(west.home, 'alliance.yaml');
      const settings = parse(readFileSync(file, 'utf8')) as object;
      writeFileSync(file, stringify({ ...settings, partners: { east: { stale_ms: 600_000 } } }));
      await west.broker.reload();
      expect(await kindOf(token)).to.equal('stale');
      await api.call('DELETE', '/auth/tokens', { token: ended, subject: ended });
      await east.startBroker();
      await until('it is refused', async () => (await kindOf(ended)) === 'invalid', 20_000);
      await until('it is remembered', async () => (await kindOf(token)) === 'cache', 20_000);
      expect(await kindOf(ended)).to.equal('invalid');
    });
  });
});
