/** Random schedules of questions, revocations, outages and clocks: whatever happens, no answer counts longer than it may. */
import { expect } from 'chai';
import fc from 'fast-check';
import { foreignLimits, tokenLimits } from '../../src/core/limits.ts';
import type { ForeignVerdict, Recognised } from '../../src/token/foreign.ts';
import { bodyOf, createForeignWorld, type FakePartner, type ForeignWorld, follow } from '../support/foreign.ts';

const tokens = ['t0', 't1', 't2'];
const cacheMs = 20_000;
const lives = [30_000, 90_000, 3_600_000];

type Action =
  | { readonly act: 'ask' | 'askSlowly'; readonly token: number; readonly allowExpired: boolean }
  | { readonly act: 'revoke' | 'revokeHere'; readonly token: number }
  | { readonly act: 'pass' | 'step'; readonly ms: number }
  | { readonly act: 'outage' | 'suspend'; readonly on: boolean }
  | { readonly act: 'hear' | 'follow' | 'gap' | 'look' };

const token = fc.nat(tokens.length - 1);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constant('ask' as const), token, allowExpired: fc.constant(false) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('ask' as const), token, allowExpired: fc.constant(true) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('askSlowly' as const), token, allowExpired: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('hear' as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('revoke' as const, 'revokeHere' as const), token }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('follow' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constant('pass' as const), ms: fc.constantFrom(500, 3000, 5001, 19_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ act: fc.constant('step' as const), ms: fc.integer({ min: -60_000, max: 60_000 }) }),
  },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('outage' as const), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('suspend' as const), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('gap' as const, 'look' as const) }) },
);

/** What the test knows of one token, in monotonic time where nothing else is said. */
interface Known {
  readonly expiresAt: number;
  /** When the issuer was last asked and said that it is good, and how much of its life was left by our clock. */
  goodAt: number;
  leftMs: number;
  /** When the issuer was last asked and said no. */
  refusedAt: number;
  revokedAt: number;
  /** The revocation has been read here. */
  noted: boolean;
}

class Schedule {
  readonly world: ForeignWorld = createForeignWorld(['east']);
  readonly east: FakePartner = this.world.partners.get('east')!;
  readonly known: Known[];
  readonly slow: Promise<void>[] = [];
  followedAt = Number.NEGATIVE_INFINITY;
  hear: () => void = () => undefined;

  constructor(staleMs: number) {
    const { clock } = this.world;
    this.world.tokens = { ...this.world.tokens, cacheMs };
    this.world.staleMs = staleMs;
    this.known = tokens.map((name, i) => {
      const expiresAt = clock.now() + lives[i]!;
      this.east.tokens.set(name, bodyOf(name, { issuedAt: clock.now(), expiresAt }));
      const never = Number.NEGATIVE_INFINITY;
      return {
        expiresAt,
        goodAt: never,
        leftMs: 0,
        refusedAt: never,
        revokedAt: Number.POSITIVE_INFINITY,
        noted: false,
      };
    });
    this.open();
  }

  open(): void {
    this.world.gate = Promise.resolve();
  }

  async ask(i: number, allowExpired: boolean): Promise<void> {
    const { foreign, clock, sent } = this.world;
    const known = this.known[i]!;
    const before = sent.length;
    const recognised: Recognised = { partner: this.east.partner, token: tokens[i]!, by: 'qualified' };
    const verdict = await foreign.validate(recognised, { allowExpired });
    const asked = sent.length > before;
    this.check(i, verdict, allowExpired, asked);
    if (verdict.kind === 'valid' && verdict.source === 'live' && !allowExpired) this.learn(known, verdict.ageMs);
    if (verdict.kind === 'invalid') known.refusedAt = clock.monotonic();
  }

  learn(known: Known, ageMs: number): void {
    const { clock } = this.world;
    known.goodAt = Math.max(known.goodAt, clock.monotonic() - ageMs);
    known.leftMs = ageMs + known.expiresAt - clock.now();
  }

  check(i: number, verdict: ForeignVerdict, allowExpired: boolean, asked: boolean): void {
    const { clock, staleMs } = this.world;
    const known = this.known[i]!;
    const now = clock.monotonic();
    if (verdict.kind !== 'valid') return;
    expect(this.east.state, 'a trust that has ended').to.equal('active');
    expect(known.noted, 'a revocation that is known').to.equal(false);
    if (!allowExpired) expect(clock.now(), 'past its expiry').to.be.lessThan(known.expiresAt);
    if (verdict.source === 'live') {
      this.checkAge(verdict.ageMs);
      return;
    }
    if (!allowExpired) {
      expect(now - known.goodAt).to.equal(verdict.ageMs);
      expect(verdict.ageMs, 'past its expiry, whatever the clock was set to').to.be.lessThan(known.leftMs);
    }
    if (verdict.source === 'stale') {
      expect(this.east.away, 'stale although the issuer answers').to.equal(true);
      expect(verdict.ageMs).to.be.lessThan(staleMs);
      return;
    }
    expect(asked, 'from the cache, and asked as well').to.equal(false);
    expect(verdict.ageMs, 'past its age').to.be.lessThan(cacheMs);
    expect(now - this.followedAt, 'with unconfirmed revocations').to.be.at.most(foreignLimits.confirmedMs);
    expect(now - known.revokedAt, 'revoked for longer than revocations may be unknown').to.be.at.most(
      foreignLimits.confirmedMs,
    );
  }

  /** Nobody hears an answer that is older than what revocations may be unknown for, unless they are known. */
  checkAge(ageMs: number): void {
    if (ageMs <= foreignLimits.confirmedMs) return;
    const unknownMs = this.world.clock.monotonic() - this.followedAt;
    expect(unknownMs, 'late, with unconfirmed revocations').to.be.at.most(foreignLimits.confirmedMs);
  }

  async run(action: Action): Promise<void> {
    const { clock, marks, world } = { ...this.world, world: this.world };
    const { uid } = this.east.partner;
    switch (action.act) {
      case 'ask':
        this.hearAll();
        await Promise.all(this.slow.splice(0));
        return this.ask(action.token, action.allowExpired);
      case 'askSlowly': {
        world.gate = new Promise<void>((resolve) => {
          const before = this.hear;
          this.hear = () => {
            before();
            resolve();
          };
        });
        this.slow.push(this.askLate(action.token, action.allowExpired));
        await new Promise(setImmediate);
        this.open();
        return;
      }
      case 'hear':
        this.hearAll();
        await Promise.all(this.slow.splice(0));
        return;
      case 'revoke': {
        const known = this.known[action.token]!;
        if (known.revokedAt !== Number.POSITIVE_INFINITY) return;
        known.revokedAt = clock.monotonic();
        this.east.tokens.delete(tokens[action.token]!);
        this.east.head += 1;
        return;
      }
      case 'revokeHere': {
        if (this.east.away || this.east.state !== 'active') return;
        const known = this.known[action.token]!;
        await world.foreign.revoke({ partner: this.east.partner, token: tokens[action.token]!, by: 'known' });
        if (known.revokedAt === Number.POSITIVE_INFINITY) this.east.head += 1;
        known.revokedAt = Math.min(known.revokedAt, clock.monotonic());
        known.goodAt = Number.NEGATIVE_INFINITY;
        return;
      }
      case 'follow': {
        if (this.east.away || this.east.state !== 'active') return;
        this.known.forEach((known, i) => {
          if (known.revokedAt === Number.POSITIVE_INFINITY) return;
          const issuedBefore = known.expiresAt;
          marks.note(uid, { revokedAt: issuedBefore, issuedBefore, auditId: tokens[i]! });
          known.noted = true;
        });
        follow(world, 'east');
        this.followedAt = clock.monotonic();
        return;
      }
      case 'gap':
        marks.dropAll(uid);
        for (const known of this.known) {
          known.noted = false;
          known.goodAt = Number.NEGATIVE_INFINITY;
        }
        this.followedAt = Number.NEGATIVE_INFINITY;
        return;
      case 'pass':
        return clock.pass(action.ms);
      case 'step':
        return clock.step(action.ms);
      case 'outage':
        this.east.away = action.on;
        return;
      case 'suspend':
        this.east.state = action.on ? 'suspended' : 'active';
        world.look();
        return;
      case 'look':
        return world.look(false);
    }
  }

  /** The answer is what the issuer knew when it was asked, and is heard later: only what holds for all answers is checked. */
  async askLate(i: number, allowExpired: boolean): Promise<void> {
    const recognised: Recognised = { partner: this.east.partner, token: tokens[i]!, by: 'qualified' };
    const verdict = await this.world.foreign.validate(recognised, { allowExpired });
    if (verdict.kind !== 'valid' || verdict.source !== 'live') return;
    expect(this.known[i]!.noted, 'revoked while the answer was on its way').to.equal(false);
    this.checkAge(verdict.ageMs);
    if (!allowExpired) this.learn(this.known[i]!, verdict.ageMs);
  }

  hearAll(): void {
    this.hear();
    this.hear = () => undefined;
  }
}

/** Something to remember, so that there is something to forget. */
const beginning: readonly Action[] = [
  { act: 'follow' },
  ...tokens.map((_, i) => ({ act: 'ask', token: i, allowExpired: false }) as const),
];

describe('token/foreign, in any order of events', () => {
  it('no answer counts past expiry, revocation or age, with unconfirmed revocations or without trust', async () => {
    let cached = 0;
    let stale = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 5, maxLength: 60 }),
        fc.constantFrom(0, 40_000, 40_000),
        async (actions, staleMs) => {
          const schedule = new Schedule(staleMs);
          const check = schedule.check.bind(schedule);
          schedule.check = (i, verdict, ...more) => {
            if (verdict.kind === 'valid' && verdict.source === 'cache') cached += 1;
            if (verdict.kind === 'valid' && verdict.source === 'stale') stale += 1;
            check(i, verdict, ...more);
          };
          for (const each of [...beginning, ...actions]) await schedule.run(each);
          schedule.hearAll();
          await Promise.all(schedule.slow);
        },
      ),
      { numRuns: 400 },
    );
    // The schedules do get to where the laws matter.
    expect(cached).to.be.greaterThan(100);
    expect(stale).to.be.greaterThan(20);
  }).timeout(60_000);

  it('a refusal is asked about again after a few seconds, and never becomes an acceptance without', async () => {
    const world = createForeignWorld(['east']);
    const east = world.partners.get('east')!;
    const recognised: Recognised = { partner: east.partner, token: 'late', by: 'qualified' };
    follow(world, 'east');
    const kind = async () => (await world.foreign.validate(recognised, { allowExpired: false })).kind;
    expect(await kind()).to.equal('invalid');
    const now = world.clock.now();
    east.tokens.set('late', bodyOf('late', { issuedAt: now, expiresAt: now + 60_000 }));
    expect(await kind()).to.equal('invalid');
    expect(world.sent).to.have.length(1);
    world.clock.pass(tokenLimits.negativeCacheMs);
    follow(world, 'east');
    expect(await kind()).to.equal('valid');
    expect(world.sent).to.have.length(2);
  });
});
