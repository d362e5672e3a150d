import { inspect } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { tokenLimits } from '../../src/core/limits.ts';
import { SoftTokens, type TokenKnowledge } from '../../src/token/softTokens.ts';
import { tokenOf } from '../support/revocations.ts';

interface Model {
  /** In the order of learning. */
  known: [token: string, knowledge: TokenKnowledge][];
  now: number;
}
interface Real {
  readonly soft: SoftTokens;
}

const entries = 4;
const ageMs = 60_000;
const facts = tokenOf('a', 0);
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
    if (before && before.checkedAt > checkedAt) return;
    model.known = model.known.filter(([token]) => token !== this.token);
    model.known.push([this.token, knowledge]);
    if (model.known.length > entries) model.known.shift();
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
    const { now } = model;
    const known = model.known.find(([token]) => token === this.token)?.[1];
    const limitMs = known?.status === 'invalid' ? tokenLimits.negativeCacheMs : ageMs;
    const fresh = known && now - known.checkedAt <= limitMs ? known : undefined;
    const expired = fresh?.status === 'valid' && fresh.expiresAt <= now;
    if (known && !fresh) model.known = model.known.filter(([token]) => token !== this.token);
    expect(soft.recall(this.token, now)).to.deep.equal(
      expired ? { status: 'invalid', checkedAt: fresh.checkedAt } : fresh,
    );
  }
  toString = () => `recall ${this.token}`;
}

class Wait implements fc.Command<Model, Real> {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
  check = () => true;
  run(model: Model): void {
    model.now += this.ms;
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
        fc.integer({ min: 1, max: 30_000 }).map((ms) => new Wait(ms)),
      ],
      { maxCommands: 60 },
    );
    fc.assert(
      fc.property(commands, (run) => {
        const setup = () => ({
          model: { known: [], now: 1_000_000 },
          real: {
            soft: new SoftTokens(
              () => ({ entries, ageMs }),
              () => false,
            ),
          },
        });
        fc.modelRun(setup, run);
      }),
      { numRuns: 300 },
    );
  });

  it('a revocation is not undone by an answer that was asked for before it', () => {
    const soft = new SoftTokens(
      () => ({ entries, ageMs }),
      () => false,
    );
    soft.learn('t', { status: 'invalid', checkedAt: 2000 });
    soft.learn('t', { status: 'valid', checkedAt: 1000, expiresAt: 9_000_000, facts });
    expect(soft.recall('t', 2500)?.status).to.equal('invalid');
  });

  it('that was revoked since is known to be invalid, also when the answer comes after the revocation', () => {
    const revoked = new Set<string | undefined>();
    const soft = new SoftTokens(
      () => ({ entries, ageMs }),
      ({ auditIds }) => revoked.has(auditIds[0]),
    );
    soft.learn('t', { status: 'valid', checkedAt: 1000, expiresAt: 9_000_000, facts });
    expect(soft.recall('t', 2000)?.status).to.equal('valid');
    revoked.add('a');
    soft.learn('t', { status: 'valid', checkedAt: 1500, expiresAt: 9_000_000, facts });
    expect(soft.recall('t', 2000)).to.deep.equal({ status: 'invalid', checkedAt: 1500 });
  });

  it('follow the configuration as it is now', () => {
    let options = { entries: 10, ageMs };
    const soft = new SoftTokens(
      () => options,
      () => false,
    );
    for (const token of ['a', 'b', 'c']) soft.learn(token, { status: 'valid', checkedAt: 0, expiresAt: 1e9, facts });
    options = { entries: 2, ageMs: 100 };
    soft.learn('d', { status: 'valid', checkedAt: 0, expiresAt: 1e9, facts });
    expect(['a', 'b', 'c', 'd'].filter((token) => soft.recall(token, 50))).to.deep.equal(['c', 'd']);
    expect(soft.recall('d', 101)).to.equal(undefined);
  });

  it('keep no token', () => {
    const soft = new SoftTokens(
      () => ({ entries, ageMs }),
      () => false,
    );
    soft.learn('gAAAAA-very-secret', { status: 'valid', checkedAt: 0, expiresAt: 1, facts });
    expect(inspect(soft, { depth: null, showHidden: true })).not.to.contain('very-secret');
    expect(JSON.stringify(soft)).not.to.contain('very-secret');
  });
});
