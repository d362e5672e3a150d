import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { facadeLimits } from '../../../src/core/limits.ts';
import { createLogger } from '../../../src/core/log.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import type { Localised } from '../../../src/token/localise.ts';
import { type Doubles, denied, east, openFacade, type TestFacade, validVerdict } from '../../support/facade.ts';
import { type ApiAnswer, createKeystoneApi, inDefault, passwordLogin } from '../../support/keystoneApi.ts';

describe('facade: foreign tokens', () => {
  let keystone: SandboxKeystone;
  let facade: TestFacade;
  let service: string;
  let demo: string;
  let now = Date.now();
  /** What somebody did to the clock on the wall. */
  let setBy = 0;
  const lines: string[] = [];
  const qualified = 'a1.east.gAAAAAforeign';
  const ask = (search = '', subject = qualified, token = service) =>
    facade.api.call('GET', `/auth/tokens${search}`, { token, subject });
  const isUnknown = (answer: ApiAnswer) => {
    expect(answer.status).to.equal(404);
    expect(JSON.parse(answer.text)).to.deep.equal({
      error: { code: 404, message: 'Failed to validate token', title: 'Not Found' },
    });
  };
  /** Paths that the Keystone was asked since. */
  const since = (from: number) => keystone.requests.slice(from).map(({ method, path }) => `${method} ${path}`);

  before(async () => {
    keystone = await startSandboxKeystone();
    const own = createKeystoneApi(keystone.url);
    service = await own.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
    demo = await own.login(passwordLogin('demo', keystone.demoPassword));
  });
  after(() => keystone.stop());
  beforeEach(async () => {
    lines.length = 0;
    const log = createLogger({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } });
    facade = await openFacade(keystone, { clock: { now: () => now + setBy, monotonic: () => now }, log });
  });
  afterEach(() => facade.stop());

  it('answers with the body that the mapping made, under the token as it was sent', async () => {
    const answer = await ask();
    expect([answer.status, answer.text]).to.deep.equal([200, '{"token":{"local":true}}']);
    expect(answer.headers.get('x-subject-token')).to.equal(qualified);
    expect(answer.headers.get('vary')).to.equal('X-Auth-Token');
    expect(answer.headers.get('content-type')).to.equal('application/json');
    expect(answer.headers.get('x-openstack-request-id')).to.match(/^req-[0-9a-f-]{36}$/);
    expect(facade.doubles.asked).to.deep.equal(['validate gAAAAAforeign', 'localise catalog']);
  });

  it('verifies no signature for who is not known to may ask; its Keystone has its say first', async () => {
    const signed = 'eyJ.foreign.x';
    for (const headers of [
      { 'x-auth-token': signed, 'x-subject-token': service },
      { 'x-auth-token': service, 'x-service-token': signed, 'x-subject-token': service },
      { 'x-auth-token': 'nobody', 'x-subject-token': signed },
      { 'x-auth-token': demo, 'x-subject-token': signed },
    ])
      await fetch(`${facade.url}/v3/auth/tokens`, { headers }).then((answer) => answer.text());
    await fetch(`${facade.url}/v3/projects`, { headers: { 'x-auth-token': signed, 'x-subject-token': signed } });
    expect(facade.doubles.asked).to.deep.equal([]);
    const from = keystone.requests.length;
    expect((await ask('', signed)).status).to.equal(404);
    expect(since(from)[0]).to.equal('GET /v3/auth/tokens');
    expect(facade.doubles.asked).to.deep.equal(['last']);
    expect(facade.doubles.callers).to.have.length(1);
    expect((await ask('', signed)).status).to.equal(200);
    expect(facade.doubles.asked.slice(1, 2)).to.deep.equal(['signature']);
  });

  it('answers HEAD like GET, without the body', async () => {
    const answer = await facade.api.call('HEAD', '/auth/tokens', { token: service, subject: qualified });
    expect([answer.status, answer.text]).to.deep.equal([200, '']);
    expect(answer.headers.get('content-length')).to.equal(String('{"token":{"local":true}}'.length));
    expect(answer.headers.get('x-subject-token')).to.equal(qualified);
    facade.doubles.verdict = { kind: 'invalid', partner: east };
    const unknown = await facade.api.call('HEAD', '/auth/tokens', { token: service, subject: qualified });
    expect([unknown.status, unknown.text]).to.deep.equal([404, '']);
  });

  it('hands on nocatalog, allow_expired and support of access rules', async () => {
    await ask('?nocatalog&allow_expired=1');
    await ask('?allow_expired=yes');
    await ask('?allow_expired=0');
    await fetch(`${facade.url}/v3/auth/tokens`, {
      headers: {
        'x-auth-token': service,
        'x-subject-token': qualified,
        'openstack-identity-access-rules': '1',
      },
    });
    expect(facade.doubles.asked).to.deep.equal([
      'validate gAAAAAforeign expired',
      'localise',
      'validate gAAAAAforeign expired',
      'localise catalog',
      'validate gAAAAAforeign',
      'localise catalog',
      'validate gAAAAAforeign',
      'localise catalog rules',
    ]);
  });

  it('keeps a qualified token from Keystone, wherever it stands', async () => {
    await ask();
    const from = keystone.requests.length;
    await ask();
    await ask('', 'a1.nowhere.token');
    for (const path of ['/v3/auth/%74okens', '/v3/auth/tokens/']) {
      const headers = { 'x-auth-token': service, 'x-subject-token': qualified };
      expect((await fetch(facade.url + path, { headers })).status, path).to.equal(200);
    }
    const elsewhere = await facade.api.call('GET', '/users', { token: service, subject: qualified });
    expect(elsewhere.status).to.equal(404);
    expect(since(from)).to.deep.equal([]);
  });

  it('asks Keystone first about a bare token, and the federation only after its 404', async () => {
    facade.doubles.known.add('gAAAAAbare').add(demo);
    const local = await ask('', demo);
    expect(local.at('token.user.name')).to.equal('demo');
    expect(facade.doubles.asked).to.deep.equal([]);
    expect((await ask('', 'gAAAAAbare')).text).to.equal('{"token":{"local":true}}');
    expect(facade.doubles.asked).to.deep.equal(['last', 'validate gAAAAAbare', 'localise catalog']);
  });

  it('gives the 404 as it came for a token of nobody', async () => {
    const answer = await ask('', 'gAAAAAnobody');
    expect(answer.status).to.equal(404);
    expect(answer.at('error.message')).to.equal('Could not recognize Fernet token');
    expect(facade.doubles.entries).to.deep.equal([]);
  });

  it('goes no further on a 404 that is not of Keystone itself', async () => {
    facade.doubles.known.add('gAAAAAbare');
    keystone.faults.next('html');
    expect((await ask('', 'gAAAAAbare')).status).to.equal(404);
    keystone.faults.next('html', { match: { method: 'HEAD' } });
    const head = await facade.api.call('HEAD', '/auth/tokens', { token: service, subject: 'gAAAAAbare' });
    expect(head.status).to.equal(404);
    expect(facade.doubles.asked).to.deep.equal([]);
    const own = await facade.api.call('HEAD', '/auth/tokens', { token: service, subject: 'gAAAAAbare' });
    expect(own.status).to.equal(200);
  });

  describe('callers', () => {
    it('that have no valid token get Keystone’s 401, for every kind of token', async () => {
      facade.doubles.known.add('gAAAAAbare');
      for (const subject of [qualified, 'a1.nowhere.token', 'gAAAAAbare', 'gAAAAAnobody'])
        for (const token of ['gAAAAAforged', '']) {
          const answer = await ask('', subject, token);
          expect(answer.status, subject).to.equal(401);
          expect(answer.at('error.title')).to.equal('Unauthorized');
          expect(answer.headers.get('www-authenticate')).to.match(/^Keystone uri="http:.*\/v3"$/);
        }
      expect(facade.doubles.asked).to.deep.equal([]);
      expect(facade.doubles.entries).to.deep.equal([]);
    });

    it('that may not validate hear of a bare token what Keystone says, and nobody is asked for them', async () => {
      facade.doubles.known.add('gAAAAAbare');
      for (const subject of ['gAAAAAbare', 'gAAAAAnobody'])
        for (const method of ['GET', 'DELETE']) {
          const answer = await facade.api.call(method, '/auth/tokens', { token: demo, subject });
          expect(answer.status).to.equal(404);
          expect(answer.at('error.message')).to.equal('Could not recognize Fernet token');
        }
      expect(facade.doubles.asked).to.deep.equal([]);
    });

    it('that may not validate get its 403, also for a token that is in the cache', async () => {
      facade.doubles.verdict = validVerdict('cache');
      expect((await ask()).status).to.equal(200);
      const answer = await ask('', qualified, demo);
      expect(answer.status).to.equal(403);
      expect(answer.at('error.message')).to.equal(
        'You are not authorized to perform the requested action: identity:validate_token.',
      );
      expect(facade.doubles.asked).to.have.length(2);
    });

    it('that come with a foreign token get 401, and Keystone never sees it', async () => {
      const from = keystone.requests.length;
      for (const [method, path] of [
        ['GET', '/auth/tokens'],
        ['DELETE', '/auth/tokens'],
        ['GET', '/users'],
        ['POST', '/auth/tokens'],
      ] as const)
        for (const token of [qualified, 'a1.nowhere.token', 'a1.']) {
          const answer = await facade.api.call(method, path, { token, subject: demo });
          expect(answer.status, `${method} ${path}`).to.equal(401);
        }
      const headers = { 'x-auth-token': service, 'x-service-token': qualified };
      expect((await fetch(`${facade.url}/v3/users`, { headers })).status).to.equal(401);
      expect(since(from)).to.deep.equal([]);
    });

    it('are asked about once in 10 s, all at the same time together', async () => {
      const from = keystone.requests.length;
      const validations = () => since(from).filter((each) => each.startsWith('GET /v3/auth/tokens')).length;
      await Promise.all(Array.from({ length: 20 }, () => ask()));
      await ask();
      expect(validations()).to.equal(2);
      now += facadeLimits.callerMs;
      await ask();
      expect(validations()).to.equal(4);
    });

    it('whose token was revoked are refused when the 10 s are over, whatever is done to the clock', async () => {
      const own = createKeystoneApi(keystone.url);
      const token = await own.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
      expect((await ask('', qualified, token)).status).to.equal(200);
      await own.must('DELETE', '/auth/tokens', { token: service, subject: token });
      setBy = -3600_000;
      now += facadeLimits.callerMs;
      expect((await ask('', qualified, token)).status).to.equal(401);
      setBy = 0;
    });

    it('are known again after Keystone has lost the broker’s own token', async () => {
      await ask();
      for (const token of keystone.state.tokens.keys()) if (token !== service) keystone.state.tokens.delete(token);
      now += facadeLimits.callerMs;
      expect((await ask()).status).to.equal(200);
      demo = await createKeystoneApi(keystone.url).login(passwordLogin('demo', keystone.demoPassword));
    });

    it('that Keystone cannot be asked about get 503', async () => {
      keystone.faults.always('500');
      const answer = await ask();
      keystone.faults.clear();
      expect(answer.status).to.equal(503);
      expect(answer.headers.get('retry-after')).to.equal('1');
      expect(facade.doubles.asked).to.deep.equal([]);
    });
  });

  it('says 404 and nothing more of invalid, unusable and denied tokens; the reason stays here', async () => {
    facade.doubles.verdict = { kind: 'invalid', partner: east };
    isUnknown(await ask());
    isUnknown(await ask('', 'a1.nowhere.token'));
    facade.doubles.verdict = validVerdict();
    facade.doubles.local = denied;
    isUnknown(await ask());
    expect(
      facade.doubles.entries.map(({ outcome, partner, details }) => [outcome, partner, details.reason]),
    ).to.deep.equal([
      ['invalid', 'east', undefined],
      ['invalid', null, 'no_such_provider'],
      ['denied', 'east', 'no_rule'],
    ]);
    expect(lines.filter((line) => line.includes('"no_rule"'))).to.have.length(1);
  });

  it('decides anew what has ended while names were looked up or the record was written, but not for ever', async () => {
    for (const stands of [[false], [true, false]]) {
      facade.doubles.asked.length = 0;
      facade.doubles.stands.push(...stands);
      expect((await ask()).status).to.equal(200);
      expect(facade.doubles.asked.filter((each) => each.startsWith('validate'))).to.have.length(2);
    }
    const validate = facade.doubles.verdict;
    facade.doubles.stands.push(true, false);
    facade.doubles.onStands = () => {
      facade.doubles.verdict = { kind: 'invalid', partner: east };
    };
    isUnknown(await ask());
    facade.doubles.onStands = () => undefined;
    facade.doubles.verdict = validate;
    facade.doubles.asked.length = 0;
    facade.doubles.stands.push(...Array(2 * facadeLimits.decisions).fill(false));
    const answer = await ask();
    expect([answer.status, answer.headers.get('retry-after')]).to.deep.equal([503, '1']);
    expect(facade.doubles.asked.filter((each) => each.startsWith('validate'))).to.have.length(facadeLimits.decisions);
    facade.doubles.stands.length = 0;
  });

  it('looks at nothing again that it does not vouch for', async () => {
    facade.doubles.stands.push(false);
    facade.doubles.verdict = { kind: 'invalid', partner: east };
    isUnknown(await ask());
    facade.doubles.verdict = validVerdict();
    facade.doubles.local = denied;
    isUnknown(await ask());
    expect(facade.doubles.stands).to.have.length(1);
  });

  it('says 503 and when to come again where nobody knows', async () => {
    facade.doubles.verdict = { kind: 'undecided', partner: east, reason: 'unreachable', retryAfterMs: 4200 };
    const answer = await ask();
    expect(answer.status).to.equal(503);
    expect(answer.headers.get('retry-after')).to.equal('5');
    expect(answer.at('error.code')).to.equal(503);
    expect(answer.text).not.to.include('unreachable');
    facade.doubles.verdict = new AllianceError('internal', { details: 'secret matter' });
    const failed = await ask();
    expect(failed.status).to.equal(503);
    expect(failed.text).not.to.include('secret matter');
    facade.doubles.verdict = validVerdict();
    facade.doubles.local = new AllianceError('keystone_unreachable', { retryAfterMs: 3000 });
    expect((await ask()).headers.get('retry-after')).to.equal('3');
    expect(facade.doubles.entries.map(({ outcome }) => outcome)).to.deep.equal(['undecided', 'undecided', 'undecided']);
  });

  it('says 503 where a partner that cannot be asked may know the token', async () => {
    facade.doubles.lastFails = new AllianceError('unreachable', { retryAfterMs: 2000 });
    const answer = await ask('', 'gAAAAAbare');
    expect([answer.status, answer.headers.get('retry-after')]).to.deep.equal([503, '2']);
    const revoked = await facade.api.call('DELETE', '/auth/tokens', { token: service, subject: 'gAAAAAbare' });
    expect(revoked.status).to.equal(503);
    const kept = facade.doubles.entries.map(({ kind, partner, outcome }) => `${kind} ${partner} ${outcome}`);
    expect(kept).to.deep.equal(['validation null undecided', 'revocation null requested', 'revocation null undecided']);
  });

  it('records who asked about whom, before it answers', async () => {
    await ask();
    const [entry] = facade.doubles.entries;
    expect(entry).to.deep.include({
      kind: 'validation',
      partner: 'east',
      subject: 'u-east',
      outcome: 'valid',
      rule: '1',
    });
    expect(entry?.actor).to.match(/^user:[0-9a-f]{32}$/);
    expect(entry?.details).to.deep.equal({
      user: { id: 'u-east', name: 'ann', domain: { id: 'd-east', name: 'East' } },
      project: { id: 'p-east', name: 'lab', domain: { id: 'd-east', name: 'East' } },
      roles: ['member'],
      groups: [],
      source: 'live',
      age_ms: 0,
      by: 'qualified',
      mapping: '0123456789abcdef',
      caller: 'admin',
    });
  });

  it('records one by one what a token vouches for, and of what anybody can make up only one now and then', async () => {
    for (const verdict of [
      { kind: 'invalid', partner: east } as const,
      { kind: 'undecided', partner: east, reason: 'unreachable', retryAfterMs: 1 } as const,
    ]) {
      facade.doubles.verdict = verdict;
      await ask();
    }
    facade.doubles.verdict = validVerdict('cache');
    await ask();
    facade.doubles.local = denied;
    await ask();
    const outcomes = facade.doubles.entries.map(({ outcome }) => outcome);
    expect(outcomes).to.deep.equal(['invalid', 'undecided', 'valid', 'denied']);
    expect(facade.doubles.noted.map(({ outcome }) => outcome)).to.deep.equal(['invalid', 'undecided']);
  });

  it('counts equal answers, and records those that differ in token, outcome, rule, mapping or user', async () => {
    const other = await createKeystoneApi(keystone.url).login(
      passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }),
    );
    const { doubles } = facade;
    const token = { audit_ids: ['first', 'chain'] };
    const verdict = validVerdict('cache', token);
    const heard = validVerdict('live', token);
    const otherRoles = validVerdict('live', { ...token, roles: [{ id: 'r', name: 'reader' }] });
    const accepted = doubles.local as Extract<Localised, { kind: 'accepted' }>;
    const asked = async (
      changes: Partial<Pick<Doubles, 'verdict' | 'local'>>,
      subject = qualified,
      token = service,
    ) => {
      Object.assign(doubles, { verdict, local: accepted, ...changes });
      expect((await ask('', subject, token)).status).to.be.oneOf([200, 404]);
      return doubles.entries.length;
    };
    expect(await asked({})).to.equal(1);
    for (const changes of [{}, { verdict: heard }]) expect(await asked(changes)).to.equal(1);
    expect(await asked({}, qualified, other), 'the same user with another token').to.equal(1);
    expect(await asked({}, 'a1.east.gAAAAAother'), 'the same token in another text').to.equal(1);
    expect(await asked({ verdict: validVerdict('live', { audit_ids: ['second', 'chain'] }) }), 'rescoped').to.equal(2);
    expect(await asked({ verdict: otherRoles })).to.equal(3);
    expect(await asked({ verdict: validVerdict('stale', token) })).to.equal(4);
    expect(await asked({ local: { ...accepted, rule: '2' } })).to.equal(5);
    expect(await asked({ local: { ...accepted, mapping: 'fedcba9876543210' } })).to.equal(6);
    expect(await asked({ local: denied })).to.equal(7);
    expect(await asked({ local: denied })).to.equal(7);
    await facade.stop();
    const repeats = doubles.entries.slice(7).map(({ outcome, details }) => [outcome, details.times, details.source]);
    expect(repeats).to.deep.equal([
      ['valid', 4, undefined],
      ['denied', 1, undefined],
    ]);
    expect(doubles.entries[7]?.details).to.deep.include({ roles: ['member'], by: 'qualified', caller: 'admin' });
  });

  it('gives no answer that it cannot record', async () => {
    facade.doubles.auditFails = true;
    for (const verdict of [validVerdict('cache'), { kind: 'invalid', partner: east } as const]) {
      facade.doubles.verdict = verdict;
      const answer = await ask();
      expect(answer.status).to.equal(503);
      expect(answer.headers.get('retry-after')).to.equal('1');
    }
    const revoked = await facade.api.call('DELETE', '/auth/tokens', { token: service, subject: qualified });
    expect(revoked.status).to.equal(503);
    expect(facade.doubles.asked.some((each) => each.startsWith('revoke'))).to.equal(false);
  });

  it('logs each decision, with issuer, source and time by hop, and no token', async () => {
    await ask();
    const line = lines.map((each) => JSON.parse(each)).find(({ msg }) => msg === 'A foreign token at the facade.');
    expect(line).to.include({ level: 'info', issuer: 'east', by: 'qualified', source: 'live', outcome: 'valid' });
    expect(line).to.include.keys('validateMs', 'localiseMs', 'auditMs', 'requestId');
    facade.doubles.verdict = validVerdict('stale');
    await ask();
    expect(lines.some((each) => each.includes('"warn"') && each.includes('"stale"'))).to.equal(true);
    for (const secret of [qualified, 'gAAAAAforeign', service]) expect(lines.join('')).not.to.include(secret);
  });

  describe('revocation', () => {
    const revoke = (subject: string, token = service) => facade.api.call('DELETE', '/auth/tokens', { token, subject });

    it('carries a foreign token home', async () => {
      facade.doubles.known.add('gAAAAAbare');
      expect((await revoke(qualified)).status).to.equal(204);
      expect((await revoke('gAAAAAbare')).status).to.equal(204);
      const revoked = facade.doubles.asked.filter((each) => each.startsWith('revoke'));
      expect(revoked).to.deep.equal(['revoke gAAAAAforeign', 'revoke gAAAAAbare']);
      const outcomes = facade.doubles.entries.map(({ kind, outcome }) => `${kind} ${outcome}`);
      expect(outcomes.slice(0, 2)).to.deep.equal(['revocation requested', 'revocation revoked']);
    });

    it('says 404 for what is gone already, and 503 where home cannot be reached', async () => {
      facade.doubles.revoked = false;
      isUnknown(await revoke(qualified));
      isUnknown(await revoke('a1.nowhere.token'));
      facade.doubles.revoked = new AllianceError('unreachable');
      expect((await revoke(qualified)).status).to.equal(503);
    });

    it('leaves local tokens to Keystone', async () => {
      const token = await createKeystoneApi(keystone.url).login(passwordLogin('demo', keystone.demoPassword));
      expect((await revoke(token)).status).to.equal(204);
      expect((await revoke(token)).status).to.equal(404);
      expect(facade.doubles.asked).to.deep.equal(['last']);
    });
  });
});
