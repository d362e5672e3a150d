import { inspect } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { tokenLimits } from '../../src/core/limits.ts';
import type { KeystoneToken } from '../../src/lproxy/keystoneBodies.ts';
import { SoftTokens, type SoftTokensOptions, type TokenKnowledge } from '../../src/token/softTokens.ts';
import { createSteadyClock, type SteadyClock } from '../support/clock.ts';
import { tokenOf } from '../support/revocations.ts';

const facts = tokenOf('a', 0);

interface Model {
  /** In the order of learning. */
  known: [token: string, knowledge: TokenKnowledge, askedAt: number][];
  /** When the latest refusal was asked for, as far as none was forgotten for others. */
  refusedAt: Map<string, number>;
  now: number;
  /** Time that has passed. */
  elapsed: number;
}
interface Real {
  readonly soft: SoftTokens;
  readonly clock: SteadyClock;
}

/** What a test needs at times of its own choice. */
function make(options: () => SoftTokensOptions, isRevoked: (facts: KeystoneToken) => boolean = () => false, start = 0) {
  const clock = createSteadyClock(start);
  const soft = new SoftTokens(options, isRevoked, clock);
  const at = (ms: number) => clock.advance(ms - clock.now());
  const learn = (token: string, knowledge: TokenKnowledge) => {
    at(Math.max(clock.now(), knowledge.checkedAt));
    soft.learn(token, knowledge);
  };
  const recall = (token: string, ms: number) => {
    at(ms);
    return soft.recall(token);
  };
  return { soft, clock, learn, recall };
}

const entries = 4;
const ageMs = 60_000;
const tokens = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g');

/** An answer of Keystone that was asked for `lateMs` ago. */
class Learn implements fc.Command<Model, Real> {
  readonly token: string;
  readonly lateMs: number;
  readonly lifeMs: number | null;
  constructor(token: string, lateMs: number, lifeMs: number | null) {
    this.token = token;
    this.lateMs = lateMs;
    this.lifeMs = lifeMs;
  }
  check = () => true;
  run(model: Model, { soft }: Real): void {
    const checkedAt = model.now - this.lateMs;
    const knowledge: TokenKnowledge =
      this.lifeMs === null
        ? { status: 'invalid', checkedAt }
        : { status: 'valid', checkedAt, expiresAt: checkedAt + this.lifeMs, facts };
    soft.learn(this.token, knowledge);
    const before = model.known.find(([token]) => token === this.token)?.[1];
    const refusedAt = model.refusedAt.get(this.token);
    if (knowledge.status === 'valid' && refusedAt !== undefined && checkedAt <= refusedAt) return;
    if (before?.status === 'invalid' && knowledge.status === 'invalid' && before.checkedAt > checkedAt) return;
    if (knowledge.status === 'invalid') model.refusedAt.set(this.token, checkedAt);
    else model.refusedAt.delete(this.token);
    model.known = model.known.filter(([token]) => token !== this.token);
    model.known.push([this.token, knowledge, model.elapsed - this.lateMs]);
    if (model.known.length > entries) model.refusedAt.delete(model.known.shift()![0]);
  }
  toString = () => `learn ${this.token} ${this.lateMs} ${this.lifeMs}`;
}

class Recall implements fc.Command<Model, Real> {
  readonly token: string;
  constructor(token: string) {
    this.token = token;
  }
  check = () => true;
  run(model: Model, { soft }: Real): void {
    const { now, elapsed } = model;
    const [, known, askedAt = 0] = model.known.find(([token]) => token === this.token) ?? [];
    const limitMs = known?.status === 'invalid' ? tokenLimits.negativeCacheMs : ageMs;
    const fresh = elapsed - askedAt <= limitMs ? known : undefined;
    const expired = fresh?.status === 'valid' && fresh.expiresAt <= now;
    const told = soft.recall(this.token);
    expect(told).to.deep.equal(expired ? { status: 'invalid', checkedAt: fresh.checkedAt } : fresh);
    const refusedAt = model.refusedAt.get(this.token);
    if (told?.status === 'valid' && refusedAt !== undefined) expect(told.checkedAt).to.be.greaterThan(refusedAt);
  }
  toString = () => `recall ${this.token}`;
}

/** Time passes, or, where it would be less than none, the clock is set back. */
class Wait implements fc.Command<Model, Real> {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
  check = () => true;
  run(model: Model, { clock }: Real): void {
    model.now += this.ms;
    clock.set(Math.min(0, this.ms));
    model.elapsed += Math.max(0, this.ms);
    clock.advance(Math.max(0, this.ms));
  }
  toString = () => `wait ${this.ms}`;
}

describe('soft tokens', () => {
  it('know what was learned last, no longer than it counts, and no more than fits', () => {
    const commands = fc.commands(
      [
        fc
          .tuple(tokens, fc.integer({ min: 0, max: 8000 }), fc.option(fc.integer({ min: 1, max: 90_000 })))
          .map(([token, lateMs, lifeMs]) => new Learn(token, lateMs, lifeMs)),
        tokens.map((token) => new Recall(token)),
        tokens.map((token) => new Recall(token)),
        fc.integer({ min: -10_000, max: 30_000 }).map((ms) => new Wait(ms)),
      ],
      { maxCommands: 60 },
    );
    fc.assert(
      fc.property(commands, (run) => {
        const setup = () => ({
          model: { known: [], refusedAt: new Map(), now: 1_000_000, elapsed: 0 },
          real: make(() => ({ entries, ageMs }), undefined, 1_000_000),
        });
        fc.modelRun(setup, run);
      }),
      { numRuns: 300 },
    );
  });

  it('a revocation is not undone by an answer that was asked for before it', () => {
    const { learn, recall } = make(() => ({ entries, ageMs }));
    learn('t', { status: 'invalid', checkedAt: 2000 });
    learn('t', { status: 'valid', checkedAt: 1000, expiresAt: 9_000_000, facts });
    expect(recall('t', 2500)?.status).to.equal('invalid');
  });

  it('a revocation counts although an answer that was asked for later came before it', () => {
    const { learn, recall } = make(() => ({ entries, ageMs }));
    learn('t', { status: 'valid', checkedAt: 1001, expiresAt: 9_000_000, facts });
    learn('t', { status: 'invalid', checkedAt: 1000 });
    expect(recall('t', 1500)?.status).to.equal('invalid');
    learn('t', { status: 'valid', checkedAt: 1000, expiresAt: 9_000_000, facts });
    expect(recall('t', 1500)?.status).to.equal('invalid');
    learn('t', { status: 'valid', checkedAt: 1001, expiresAt: 9_000_000, facts });
    expect(recall('t', 1500)?.status).to.equal('valid');
  });

  it('a revocation that is too old to be told still outweighs what was asked before it', () => {
    const { learn, recall } = make(() => ({ entries, ageMs }));
    learn('t', { status: 'invalid', checkedAt: 1000 });
    const now = 1001 + tokenLimits.negativeCacheMs;
    expect(recall('t', now)).to.equal(undefined);
    learn('t', { status: 'valid', checkedAt: 999, expiresAt: 9_000_000, facts });
    expect(recall('t', now)).to.equal(undefined);
  });

  it('grow old by the time that passes, whatever is done to the clock', () => {
    const { soft, clock, learn } = make(() => ({ entries, ageMs }));
    const status = () => soft.recall('t')?.status;
    learn('t', { status: 'valid', checkedAt: 2000, expiresAt: 9_000_000_000, facts });
    clock.set(-3600_000);
    clock.advance(ageMs);
    expect(status()).to.equal('valid');
    clock.set(7200_000);
    expect(status()).to.equal('valid');
    clock.set(-7200_000);
    clock.advance(1);
    expect(status()).to.equal(undefined);
  });

  it('that was revoked since is known to be invalid, also when the answer comes after the revocation', () => {
    const revoked = new Set<string | undefined>();
    const { learn, recall } = make(
      () => ({ entries, ageMs }),
      ({ auditIds }) => revoked.has(auditIds[0]),
    );
    learn('t', { status: 'valid', checkedAt: 1000, expiresAt: 9_000_000, facts });
    expect(recall('t', 2000)?.status).to.equal('valid');
    revoked.add('a');
    learn('t', { status: 'valid', checkedAt: 1500, expiresAt: 9_000_000, facts });
    expect(recall('t', 2000)).to.deep.equal({ status: 'invalid', checkedAt: 1500 });
  });

  it('follow the configuration as it is now', () => {
    let options = { entries: 10, ageMs };
    const { learn, recall } = make(() => options);
    for (const token of ['a', 'b', 'c']) learn(token, { status: 'valid', checkedAt: 0, expiresAt: 1e9, facts });
    options = { entries: 2, ageMs: 100 };
    learn('d', { status: 'valid', checkedAt: 0, expiresAt: 1e9, facts });
    expect(['a', 'b', 'c', 'd'].filter((token) => recall(token, 50))).to.deep.equal(['c', 'd']);
    expect(recall('d', 101)).to.equal(undefined);
  });

  it('keep no token', () => {
    const { soft, learn } = make(() => ({ entries, ageMs }));
    learn('gAAAAA-very-secret', { status: 'valid', checkedAt: 0, expiresAt: 1, facts });
    expect(inspect(soft, { depth: null, showHidden: true })).not.to.contain('very-secret');
    expect(JSON.stringify(soft)).not.to.contain('very-secret');
  });
});
