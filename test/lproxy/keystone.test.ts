import { inspect } from 'node:util';
import { expect } from 'chai';
import type { ErrorName } from '../../src/core/errorTable.ts';
import { createKeystone, type Keystone, type KeystoneOptions } from '../../src/lproxy/keystone.ts';
import type { FaultKind, FaultOptions } from '../../src/sandbox/keystone/faults.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { rejection } from '../support/errors.ts';
import { inDefault } from '../support/keystoneApi.ts';

describe('lproxy/keystone', () => {
  let sandbox: SandboxKeystone;
  let keystone: Keystone;
  let calls: [string, string, number][];
  const open: Keystone[] = [];

  const connect = (options: Partial<KeystoneOptions> = {}): Keystone => {
    const made = createKeystone({
      authUrl: sandbox.url,
      credentials: { method: 'password', user: inDefault('admin'), password: sandbox.adminPassword },
      scope: { project: inDefault('admin') },
      onCall: (...call) => calls.push(call),
      ...options,
      limits: { retryBackoffMs: 1, ...options.limits },
    });
    open.push(made);
    return made;
  };
  const demo = async () => {
    const credentials = { method: 'password', user: inDefault('demo'), password: sandbox.demoPassword } as const;
    return (await keystone.issueToken(credentials)).token;
  };
  const asked = (method: string) => sandbox.requests.filter((request) => request.method === method).length;
  const reads = { match: { method: 'GET' } } as const;

  beforeEach(async () => {
    calls = [];
    sandbox = await startSandboxKeystone();
    keystone = connect();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((each) => each.close()));
    await sandbox.stop();
  });

  describe('what it makes of failures', () => {
    const failures: readonly [FaultKind, ErrorName, number, FaultOptions?][] = [
      ['down', 'keystone_unreachable', 3],
      ['truncated', 'keystone_unreachable', 3],
      ['500', 'keystone_unreachable', 1],
      ['503', 'keystone_unreachable', 3],
      ['401', 'keystone_refused', 2],
      ['403', 'keystone_refused', 1],
      ['malformed', 'keystone_malformed', 1],
      ['empty', 'keystone_malformed', 1],
      ['html', 'keystone_malformed', 1],
    ];
    for (const [kind, name, attempts] of failures)
      it(`${kind} is ${name} after ${attempts} attempts, never "invalid"`, async () => {
        const token = await demo();
        sandbox.faults.always(kind, reads);
        await rejection(keystone.validateToken(token), name);
        expect(asked('GET')).to.equal(attempts);
        expect(calls.at(-1)?.slice(0, 2)).to.deep.equal(['validate', name]);
      });

    for (const kind of ['down', '503'] as const)
      it(`goes on after one ${kind}`, async () => {
        const token = await demo();
        sandbox.faults.next(kind, { ...reads, count: 2, retryAfterS: 0 });
        expect((await keystone.validateToken(token)).status).to.equal('valid');
        expect(asked('GET')).to.equal(3);
      });

    it('hands a long Retry-After on instead of waiting for it', async () => {
      const token = await demo();
      sandbox.faults.always('503', { ...reads, retryAfterS: 60 });
      const error = await rejection(keystone.validateToken(token), 'overloaded');
      expect(error.retryAfterMs).to.equal(60_000);
      expect(asked('GET')).to.equal(1);
    });

    it('gives up on a silent Keystone when its time is over, without another attempt', async () => {
      const hasty = connect({ limits: { requestTimeoutMs: 200 } });
      const token = await demo();
      sandbox.faults.always('hang', reads);
      const start = performance.now();
      await rejection(hasty.validateToken(token), 'overloaded');
      expect(performance.now() - start).to.be.within(150, 2000);
      expect(asked('GET')).to.equal(1);
    });

    it('is unreachable when nobody listens', async () => {
      await sandbox.stop();
      await rejection(keystone.version(), 'keystone_unreachable');
    });

    it('never repeats the login of a user by itself', async () => {
      const credentials = { method: 'password', user: inDefault('demo'), password: sandbox.demoPassword } as const;
      for (const kind of ['down', '503'] as const) {
        const before = asked('POST');
        sandbox.faults.always(kind);
        await rejection(keystone.issueToken(credentials), 'keystone_unreachable');
        sandbox.faults.clear();
        expect(asked('POST') - before).to.equal(1);
      }
    });

    it('shows no secret in any error', async () => {
      const token = await demo();
      const secret = 'a-very-secret-password';
      for (const kind of ['down', '500', '401', 'malformed', 'html'] as const) {
        sandbox.faults.always(kind);
        const credentials = { method: 'password', user: inDefault('demo'), password: secret } as const;
        const fresh = connect({ credentials });
        const attempts = [fresh.validateToken(token), keystone.issueToken(credentials), keystone.revokeToken(token)];
        for (const result of await Promise.allSettled(attempts)) {
          const text = inspect(result, { depth: 20, showHidden: true });
          expect(text).to.include('AllianceError');
          expect(text).not.to.include(secret);
          expect(text).not.to.include(token);
        }
        sandbox.faults.clear();
      }
    });
  });

  describe("the broker's own token", () => {
    const logins = () => calls.filter(([operation]) => operation === 'login').map(([, outcome]) => outcome);

    it('is fetched by a login, which says when it is refused, and is kept', async () => {
      await keystone.login();
      await keystone.login();
      await keystone.listRegions();
      expect(logins()).to.deep.equal(['ok']);
      const credentials = { method: 'password', user: inDefault('admin'), password: 'wrong' } as const;
      await rejection(connect({ credentials }).login(), 'keystone_refused');
      const hasty = connect({ limits: { requestTimeoutMs: 200 } });
      sandbox.faults.always('hang');
      await rejection(hasty.login(), 'overloaded');
    });

    it('is fetched once for many callers', async () => {
      const token = await demo();
      await Promise.all(Array.from({ length: 50 }, () => keystone.validateToken(token)));
      expect(logins()).to.deep.equal(['ok']);
    });

    it('is fetched anew, once, when Keystone no longer takes it', async () => {
      const token = await demo();
      await keystone.validateToken(token);
      for (const record of sandbox.state.tokens.values())
        if (record.token !== token) sandbox.state.revoke({ auditId: record.auditIds[0]! });
      const answers = await Promise.all(Array.from({ length: 10 }, () => keystone.validateToken(token)));
      expect(answers.every(({ status }) => status === 'valid')).to.equal(true);
      expect(logins()).to.deep.equal(['ok', 'ok']);
    });

    it('is renewed before it expires, and serves meanwhile', async () => {
      let now = Date.now();
      const clocked = connect({ clock: { now: () => now } });
      await clocked.listRegions();
      now += 3600_000 - 121_000;
      await clocked.listRegions();
      expect(logins()).to.deep.equal(['ok']);
      now += 2000;
      sandbox.faults.next('500', { match: { method: 'POST' } });
      await clocked.listRegions();
      expect(logins()).to.deep.equal(['ok', 'keystone_unreachable']);
      await clocked.listRegions();
      expect(logins().slice(2)).to.deep.equal(['ok']);
    });

    it('is not used after its end', async () => {
      let now = Date.now();
      const clocked = connect({ clock: { now: () => now } });
      await clocked.listRegions();
      now += 3600_000;
      sandbox.faults.always('500', { match: { method: 'POST' } });
      await rejection(clocked.listRegions(), 'keystone_unreachable');
    });

    it('lives as long as Keystone says, whatever time it is there', async () => {
      await sandbox.stop();
      sandbox = await startSandboxKeystone({ clock: { now: () => Date.UTC(2001, 0) } });
      keystone = connect();
      await keystone.listRegions();
      await keystone.listRegions();
      expect(logins()).to.deep.equal(['ok']);
    });

    it('is not asked for again at once after a refusal, lest Keystone lock the user', async () => {
      let now = Date.now();
      const clock = { now: () => now };
      const credentials = { method: 'password', user: inDefault('admin'), password: 'old' } as const;
      const refused = connect({ credentials, clock });
      for (let round = 0; round < 5; round += 1) await rejection(refused.listRegions(), 'keystone_refused');
      expect(asked('POST')).to.equal(1);
      const admin = [...sandbox.state.users.values()].find(({ name }) => name === 'admin')!;
      admin.password = 'old';
      await rejection(refused.listRegions(), 'keystone_refused');
      now += 5000;
      await refused.listRegions();
      expect(asked('POST')).to.equal(2);
    });

    it('makes callers wait no longer than their own time', async () => {
      const hasty = connect({ limits: { requestTimeoutMs: 150 } });
      sandbox.faults.always('hang', { match: { method: 'POST' } });
      const start = performance.now();
      await rejection(hasty.listRegions(), 'overloaded');
      expect(performance.now() - start).to.be.lessThan(2000);
    });
  });

  describe('bounds', () => {
    it('keeps to its concurrency, and refuses what would wait too long in line', async () => {
      const narrow = connect({ limits: { concurrency: 2, queue: 3 } });
      const token = await demo();
      await narrow.listRegions();
      const before = asked('GET');
      sandbox.faults.always('slow', { ...reads, delayMs: 100 });
      const results = Array.from({ length: 8 }, () => narrow.validateToken(token));
      const late = await Promise.all(results.slice(5).map((each) => rejection(each, 'overloaded')));
      expect(late.map(({ retryAfterMs }) => retryAfterMs)).to.deep.equal([1000, 1000, 1000]);
      const answers = await Promise.all(results.slice(0, 5));
      expect(answers.every(({ status }) => status === 'valid')).to.equal(true);
      expect(asked('GET') - before).to.equal(5);
    });

    it('tells when it asked, which is after the wait in line', async () => {
      const narrow = connect({ limits: { concurrency: 1 } });
      const token = await demo();
      await narrow.listRegions();
      sandbox.faults.next('slow', { ...reads, delayMs: 300 });
      const startedAt = Date.now();
      const [first, second] = await Promise.all([narrow.validateToken(token), narrow.validateToken('forged')]);
      expect(first.askedAt).to.be.within(startedAt, startedAt + 250);
      expect([first.status, second.status]).to.deep.equal(['valid', 'invalid']);
      expect(second.askedAt - first.askedAt).to.be.at.least(295);
    });

    it('answers those that wait in line within their time too', async () => {
      const narrow = connect({ limits: { concurrency: 1, requestTimeoutMs: 150 } });
      sandbox.faults.always('hang', reads);
      const start = performance.now();
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => narrow.version()));
      expect(performance.now() - start).to.be.within(100, 1000);
      for (const result of results) expect(result.status).to.equal('rejected');
      expect(new Set(calls.map(([, outcome]) => outcome))).not.to.include('ok');
      expect(asked('GET')).to.be.lessThan(20);
    });

    it('reads no answer that is too large', async () => {
      const small = connect({ limits: { bodyBytes: 500 } });
      await rejection(small.validateToken(await demo()), 'keystone_malformed');
    });

    it('refuses what cannot be a token before Keystone sees it', async () => {
      for (const token of ['', 'a b', 'line\r\nbreak', 'ü', 'x'.repeat(8193)]) {
        await rejection(keystone.validateToken(token), 'token_form_refused');
        await rejection(keystone.revokeToken(token), 'token_form_refused');
      }
      expect(sandbox.requests).to.have.length(0);
    });

    it('refuses work after it was closed', async () => {
      await keystone.close();
      await rejection(keystone.version(), 'shutting_down');
    });
  });

  it('asks for expired tokens only where it is told to', async () => {
    const token = await demo();
    await keystone.validateToken(token, { allowExpired: true, catalog: false });
    await keystone.validateToken(token);
    const paths = sandbox.requests.filter(({ method }) => method === 'GET').map(({ path }) => path);
    expect(paths).to.deep.equal(['/v3/auth/tokens?nocatalog&allow_expired=1', '/v3/auth/tokens']);
  });

  it('reports every operation with its outcome and time', async () => {
    await keystone.version();
    await keystone.validateToken('forged');
    const names = calls.map(([operation, outcome]) => `${operation} ${outcome}`);
    expect(names).to.deep.equal(['version ok', 'login ok', 'validate invalid']);
    for (const [, , ms] of calls) expect(ms).to.be.greaterThan(0).and.lessThan(10_000);
  });
});
