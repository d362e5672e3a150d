import { expect } from 'chai';
import { AllianceError } from '../../src/core/errors.ts';
import { foreignLimits } from '../../src/core/limits.ts';
import type { ForeignVerdict, Recognised } from '../../src/token/foreign.ts';
import { bodyOf, createForeignWorld, type FakePartner, type ForeignWorld, follow } from '../support/foreign.ts';

describe('token/foreign', () => {
  let world: ForeignWorld;
  let east: FakePartner;
  let recognised: Recognised;
  const lifeMs = 3_600_000;

  beforeEach(() => {
    world = createForeignWorld(['east', 'north']);
    east = world.partners.get('east')!;
    issue('good');
    recognised = { partner: east.partner, token: 'good', by: 'qualified' };
    follow(world, 'east');
  });

  const issue = (name: string, changes: { issuedAt?: number; expiresAt?: number } = {}): void => {
    const now = world.clock.now();
    east.tokens.set(name, bodyOf(name, { issuedAt: now, expiresAt: now + lifeMs, ...changes }));
  };
  const validate = (allowExpired = false, of = recognised) => world.foreign.validate(of, { allowExpired });
  const kindOf = (verdict: ForeignVerdict): string =>
    verdict.kind === 'valid' ? verdict.source : verdict.kind === 'undecided' ? verdict.reason : verdict.kind;
  const kind = async (allowExpired = false) => kindOf(await validate(allowExpired));
  const questions = () => world.sent.filter(({ method }) => method === 'validateTokenHard').length;
  /** Asks, and does something before the answer is heard. */
  async function meanwhile(act: () => unknown): Promise<string> {
    let hear: () => void = () => undefined;
    world.gate = new Promise<void>((resolve) => {
      hear = resolve;
    });
    const verdict = kind();
    await new Promise(setImmediate);
    expect(questions()).to.be.greaterThan(0);
    world.gate = Promise.resolve();
    await act();
    hear();
    return verdict;
  }
  const note = (auditId: string) => {
    const at = world.clock.now();
    world.marks.note(east.partner.uid, { revokedAt: at, issuedBefore: at, auditId });
  };

  it("asks once, and then knows: the issuer's body, verbatim, and what was read in it", async () => {
    expect(await kind()).to.equal('live');
    world.clock.pass(1000);
    const verdict = (await validate()) as Extract<ForeignVerdict, { kind: 'valid' }>;
    expect([verdict.source, verdict.ageMs, verdict.body]).to.deep.equal(['cache', 1000, east.tokens.get('good')]);
    expect(verdict.facts.auditIds).to.deep.equal(['good']);
    expect(questions()).to.equal(1);
  });

  it('says whether it would have to ask: not what it remembers, for as long as that counts, and of nobody else', async () => {
    const isRemembered = (allowExpired = false, of = recognised) => world.foreign.isRemembered(of, { allowExpired });
    expect(isRemembered()).to.equal(false);
    await validate();
    const north = { ...recognised, partner: world.partners.get('north')!.partner };
    expect([isRemembered(), isRemembered(true), isRemembered(false, north)]).to.deep.equal([true, false, false]);
    note('good');
    expect(isRemembered()).to.equal(false);
    expect(questions()).to.equal(1);
  });

  it('500 who ask at a time are one question, and get one answer', async () => {
    const verdicts = await Promise.all(Array.from({ length: 500 }, () => validate()));
    expect(new Set(verdicts.map(kindOf))).to.deep.equal(new Set(['live']));
    expect(questions()).to.equal(1);
    east.away = true;
    world.clock.pass(lifeMs / 2);
    const failed = await Promise.all(Array.from({ length: 500 }, () => kind()));
    expect(new Set(failed)).to.deep.equal(new Set(['unreachable']));
    expect(questions()).to.equal(2);
  });

  it('more who wait than there is room for are told to come again', async () => {
    let refused = 0;
    await meanwhile(async () => {
      const all = Array.from({ length: foreignLimits.askers }, () => kind());
      void all;
      const late = await Promise.race([kind(), new Promise<string>((resolve) => setImmediate(resolve, 'waits'))]);
      refused = Number(late === 'overloaded');
    });
    expect(refused).to.equal(1);
    expect(await kind()).to.equal('cache');
  });

  it('answers for expired tokens answer no ordinary question', async () => {
    issue('good', { expiresAt: world.clock.now() + 1000 });
    world.clock.pass(1000);
    follow(world, 'east');
    expect(await kind(true)).to.equal('live');
    expect(await kind(true)).to.equal('cache');
    expect(await kind()).to.equal('invalid');
  });

  it('an expiry counts by both clocks, whoever turns one back', async () => {
    issue('good', { expiresAt: world.clock.now() + 10_000 });
    expect(await kind()).to.equal('live');
    world.clock.step(-30_000);
    world.clock.pass(9999);
    follow(world, 'east');
    expect(await kind()).to.equal('cache');
    world.clock.pass(1);
    follow(world, 'east');
    await kind();
    expect(questions()).to.equal(2);
    world.clock.step(60_000);
    expect(await kind()).to.equal('invalid');
  });

  it('nobody is asked about another spelling of a token, nor this cloud itself', async () => {
    world.tokens = { ...world.tokens, ask: [east.partner.cloudId] };
    for (const token of ['gAAAAAgood', 'gAAAAAgooA']) {
      issue(token);
      const found = await world.foreign.recogniseLast(token);
      const isOne = token === 'gAAAAAgooA';
      expect([found?.by, world.asked.length, questions()]).to.deep.equal(isOne ? ['ask', 1, 1] : [undefined, 0, 0]);
    }
    expect(await world.foreign.recogniseLast('gAAAAAgooA====')).to.equal(undefined);
    expect(world.foreign.recogniseFirst('a1.east.gAAAAAgooA====')).to.equal('unusable');
    expect([world.asked.length, questions()]).to.deep.equal([1, 1]);
  });

  describe('revoked', () => {
    it('while the answer is on its way', async () => {
      expect(await meanwhile(() => note('good'))).to.equal('invalid');
      expect(await kind()).to.equal('invalid');
    });

    it('while the answer is on its way, and the feed was lost meanwhile: it is heard and not kept', async () => {
      expect(await meanwhile(() => world.marks.dropAll(east.partner.uid))).to.equal('live');
      follow(world, 'east');
      expect(await kind()).to.equal('live');
    });

    it('before anybody followed: the first answers are not kept', async () => {
      world.marks.confirm(east.partner.uid, null);
      expect(await meanwhile(() => follow(world, 'east'))).to.equal('live');
      expect(await kind()).to.equal('live');
      expect(await kind()).to.equal('cache');
    });

    it('as an answer says that is ahead of what was read: nothing counts until that is read, and it is read at once', async () => {
      expect(await kind()).to.equal('live');
      issue('other');
      east.head = 7;
      const other: Recognised = { partner: east.partner, token: 'other', by: 'qualified' };
      await validate(false, other);
      expect(world.woken).to.deep.equal([east.partner.uid]);
      expect(await kind()).to.equal('live');
      follow(world, 'east');
      expect(await kind()).to.equal('cache');
    });

    it('from here: carried home, and gone at once, even if somebody asks meanwhile', async () => {
      expect(await kind()).to.equal('live');
      world.clock.pass(60_000);
      follow(world, 'east');
      expect(await meanwhile(() => world.foreign.revoke(recognised))).to.equal('live');
      expect(await kind()).to.equal('invalid');
      expect(await world.foreign.revoke(recognised)).to.equal(false);
    });

    it('with a revocation unconfirmed for 5 s, every question goes to the issuer', async () => {
      await kind();
      world.clock.pass(foreignLimits.confirmedMs);
      expect(await kind()).to.equal('cache');
      world.clock.pass(1);
      expect(await kind()).to.equal('live');
      expect(await kind()).to.equal('live');
    });
  });

  describe('an answer that comes late', () => {
    it('is as old as the question', async () => {
      const late = meanwhile(() => {
        world.clock.pass(4000);
      });
      expect(await late).to.equal('live');
      expect(await validate()).to.deep.include({ source: 'cache', ageMs: 4000 });
    });

    it('says how old it is, and counts, while the revocations since are known', async () => {
      world.gate = new Promise<void>((resolve) => {
        setImmediate(() => {
          world.clock.pass(foreignLimits.confirmedMs + 1);
          follow(world, 'east');
          resolve();
        });
      });
      expect(await validate()).to.deep.include({ source: 'live', ageMs: foreignLimits.confirmedMs + 1 });
    });

    it('decides nothing where they are not', async () => {
      expect(await meanwhile(() => world.clock.pass(foreignLimits.confirmedMs + 1))).to.equal('deadline_exceeded');
      expect(await kind()).to.equal('live');
    });

    it('is for those only who asked within 5 s; others have the issuer asked again', async () => {
      let late: Promise<string> | undefined;
      const early = meanwhile(() => {
        world.clock.pass(foreignLimits.joinMs + 1);
        follow(world, 'east');
        east.tokens.delete('good');
        late = kind();
      });
      expect(await early).to.equal('live');
      expect(await late).to.equal('invalid');
      expect(questions()).to.equal(2);
    });
  });

  describe('a verdict that is answered with later', () => {
    const valid = async (allowExpired = false) =>
      (await validate(allowExpired)) as Extract<ForeignVerdict, { kind: 'valid' }>;
    const stands = (verdict: Extract<ForeignVerdict, { kind: 'valid' }>, allowExpired = false) =>
      world.foreign.stands(verdict, { allowExpired });
    const fromCache = async () => {
      await validate();
      const verdict = await valid();
      expect(verdict.source).to.equal('cache');
      return verdict;
    };

    it('stands while nothing has changed, with revocations confirmed or the issuer just asked', async () => {
      expect(stands(await valid())).to.equal(true);
      const verdict = await fromCache();
      world.clock.pass(foreignLimits.confirmedMs);
      expect(stands(verdict)).to.equal(true);
      world.clock.pass(1);
      expect(stands(verdict), 'unconfirmed').to.equal(false);
      follow(world, 'east');
      expect(stands(verdict)).to.equal(true);
    });

    it('of an issuer that nobody follows stands for a moment only', async () => {
      world.marks.dropAll(east.partner.uid);
      const verdict = await valid();
      expect(verdict.source).to.equal('live');
      world.clock.pass(foreignLimits.confirmedMs);
      expect(stands(verdict)).to.equal(true);
      world.clock.pass(1);
      expect(stands(verdict)).to.equal(false);
    });

    const ends: readonly (readonly [what: string, end: () => void])[] = [
      ['revoked', () => note('good')],
      ['out of trust', () => Object.assign(east, { state: 'suspended' })],
      ['of a consumer', () => Object.assign(east, { role: 'consumer' })],
      ['past its expiry', () => world.clock.step(lifeMs)],
      ['of nobody, with no database', () => Object.assign(world, { lost: true })],
    ];
    for (const [what, end] of ends)
      it(`does not stand once the token is ${what}`, async () => {
        const verdicts = [await valid(), await fromCache()];
        end();
        for (const verdict of verdicts) expect(stands(verdict), verdict.source).to.equal(false);
      });

    for (const drop of ['dropAll', 'dropAnswers'] as const)
      it(`does not stand once revocations were lost that it may have ended by (${drop}), however well they are known again`, async () => {
        const verdicts = [await valid(), await fromCache()];
        east.tokens.delete('good');
        world.marks[drop](east.partner.uid);
        world.clock.pass(600);
        follow(world, 'east');
        for (const verdict of verdicts) expect(stands(verdict), verdict.source).to.equal(false);
        expect(await kind()).to.equal('invalid');
        issue('good');
        world.clock.pass(foreignLimits.confirmedMs * 2);
        follow(world, 'east');
        world.marks.dropAll(world.partners.get('north')!.partner.uid);
        expect(stands(await valid()), 'asked since, and nothing of its own issuer was lost').to.equal(true);
      });

    it('does not stand once somebody here has ended it, be it before or after its issuer heard of that', async () => {
      issue('other');
      const other = await validate(false, { ...recognised, token: 'other' });
      const verdicts = [await valid(), await fromCache(), await valid(true)];
      let between: ForeignVerdict | undefined;
      world.gate = new Promise<void>((resolve) => {
        setImmediate(async () => {
          world.gate = Promise.resolve();
          issue('good');
          between = await validate();
          resolve();
        });
      });
      await world.foreign.revoke(recognised);
      for (const verdict of [...verdicts, between as (typeof verdicts)[0]])
        expect(stands(verdict, true), verdict.source).to.equal(false);
      expect(stands(other as (typeof verdicts)[0]), 'that of another token').to.equal(true);
    });

    it('that counts because its issuer is away does so no longer than the operator lets it', async () => {
      world.staleMs = 100_000;
      await valid();
      world.clock.pass(90_000);
      east.away = true;
      const verdict = await valid();
      expect(verdict.source).to.equal('stale');
      world.clock.pass(9999);
      expect(stands(verdict)).to.equal(true);
      world.clock.pass(1);
      expect(stands(verdict)).to.equal(false);
    });

    it('may have expired where that was asked for', async () => {
      const verdict = await valid(true);
      world.clock.step(lifeMs);
      expect(stands(verdict, true)).to.equal(true);
      expect(stands(verdict, false)).to.equal(false);
    });
  });

  it('of two answers the one to the later question is remembered, whichever comes first', async () => {
    const early = meanwhile(async () => {
      world.clock.pass(foreignLimits.joinMs + 1);
      follow(world, 'east');
      east.tokens.delete('good');
      expect(await kind()).to.equal('invalid');
    });
    expect(await early).to.equal('live');
    expect(await kind()).to.equal('invalid');
    expect(questions()).to.equal(2);
  });

  describe('an issuer that cannot be asked', () => {
    const minuteLater = () => world.clock.pass(60_000);

    it('is undecided, with a time to come again; never invalid', async () => {
      await kind();
      minuteLater();
      east.away = true;
      const verdict = await validate();
      expect(verdict).to.deep.include({ kind: 'undecided', reason: 'unreachable' });
      expect((verdict as { retryAfterMs: number }).retryAfterMs).to.be.greaterThan(0);
      east.away = false;
      east.tokens.set('good', 'indeterminate');
      expect(await kind()).to.equal('keystone_unreachable');
      east.tokens.set('good', '{"token": {"expires_at": "2099-01-01T00:00:00Z"}}');
      expect(await kind()).to.equal('wire_malformed');
    });

    it('where that is allowed, its last answer counts up to that age, and no longer than the token', async () => {
      world.staleMs = 600_000;
      await kind();
      minuteLater();
      east.away = true;
      expect(await validate()).to.deep.include({ kind: 'valid', source: 'stale', ageMs: 60_000 });
      note('good');
      expect(await kind()).to.equal('unreachable');
      east.away = false;
      issue('young');
      recognised = { ...recognised, token: 'young' };
      follow(world, 'east');
      expect(await kind()).to.equal('live');
      east.tokens.set('young', 'indeterminate');
      world.clock.pass(599_999);
      expect(await kind()).to.equal('stale');
      world.clock.pass(1);
      expect(await kind()).to.equal('keystone_unreachable');
    });

    it('one that answers with a refusal is not away: its last answer does not count', async () => {
      world.staleMs = 600_000;
      await kind();
      minuteLater();
      world.gate = Promise.reject(new AllianceError('partner_not_active', { remote: true }));
      world.gate.catch(() => undefined);
      expect(await kind()).to.equal('partner_not_active');
    });

    for (const [name, remote] of [
      ['rate_limited', true],
      ['overloaded', false],
      ['overloaded', true],
      ['internal', true],
      ['shutting_down', true],
      ['unreachable', true],
      ['deadline_exceeded', true],
    ] as const)
      it(`one that is too busy is not away (${name}, ${remote ? 'its own word' : 'ours'}): anybody could make it so`, async () => {
        world.staleMs = 600_000;
        await kind();
        minuteLater();
        world.gate = Promise.reject(new AllianceError(name, { remote }));
        world.gate.catch(() => undefined);
        expect(await kind()).to.equal(name);
      });

    for (const name of ['unreachable', 'connection_lost', 'circuit_open', 'deadline_exceeded'] as const)
      it(`one that does not answer (${name}) is away`, async () => {
        world.staleMs = 600_000;
        await kind();
        minuteLater();
        world.gate = Promise.reject(new AllianceError(name));
        world.gate.catch(() => undefined);
        expect(await kind()).to.equal('stale');
      });

    it('one that is late with this answer, and not with its revocations, is busy and not away', async () => {
      world.staleMs = 600_000;
      await kind();
      minuteLater();
      follow(world, 'east');
      world.gate = Promise.reject(new AllianceError('deadline_exceeded'));
      world.gate.catch(() => undefined);
      expect(await kind()).to.equal('deadline_exceeded');
    });

    it('one whose Keystone is busy is not away', async () => {
      world.staleMs = 600_000;
      await kind();
      minuteLater();
      east.tokens.set('good', 'overloaded');
      expect(await kind()).to.equal('overloaded');
    });

    it('a stale answer does not outlive a gap in the revocations', async () => {
      world.staleMs = 600_000;
      await kind();
      world.marks.dropAll(east.partner.uid);
      east.away = true;
      expect(await kind()).to.equal('unreachable');
    });
  });

  describe('a trust that ends', () => {
    for (const [what, end] of [
      ['suspended', () => Object.assign(east, { state: 'suspended' })],
      ['no provider any more', () => Object.assign(east, { role: 'consumer' })],
    ] as const)
      it(`${what}: its tokens are nobody's, and nothing is remembered of them`, async () => {
        await kind();
        end();
        expect(await kind()).to.equal('invalid');
        expect(world.foreign.recogniseFirst('a1.east.good')).to.equal('unusable');
        world.look();
        Object.assign(east, { state: 'active', role: 'provider' });
        expect(await kind()).to.equal('live');
      });

    it('while the answer is on its way', async () => {
      expect(await meanwhile(() => Object.assign(east, { state: 'suspended' }))).to.equal('invalid');
    });

    it('with no database nobody is trusted, and nothing is decided', async () => {
      await kind();
      world.lost = true;
      expect(await kind()).to.equal('database_lost');
    });
  });

  it('remembers so many and no more, the oldest first', async () => {
    world.tokens = { ...world.tokens, cacheEntries: 3 };
    for (const token of ['a', 'b', 'c', 'd']) {
      issue(token);
      await validate(false, { ...recognised, token });
    }
    const before = questions();
    for (const token of ['b', 'c', 'd']) await validate(false, { ...recognised, token });
    expect(questions()).to.equal(before);
    expect(kindOf(await validate(false, { ...recognised, token: 'a' }))).to.equal('live');
  });

  it('guessing pushes nothing good out', async () => {
    world.tokens = { ...world.tokens, cacheEntries: 3 };
    await kind();
    for (let i = 0; i < 50; i++) await validate(false, { ...recognised, token: `guess-${i}` });
    expect(await kind()).to.equal('cache');
  });
});
