/** Whose token is it, and who gets to see it: whatever the configuration, only clouds that it is of, that hold it, or that are named. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { CloudId } from '../../../src/core/ids.ts';
import { foreignLimits, hintLimits, tokenLimits } from '../../../src/core/limits.ts';
import type { Recognised } from '../../../src/token/foreign.ts';
import { ownSigners } from '../../../src/token/ownSigners.ts';
import { qualify } from '../../../src/token/routing/qualified.ts';
import { rejection } from '../../support/errors.ts';
import { bodyOf, createForeignWorld, type ForeignWorld, follow, tokenSettings } from '../../support/foreign.ts';
import { jwsToken, newTokenKey, storedKey } from '../../support/tokenKeys.ts';

const names = ['east', 'north', 'south'] as const;
const keys = names.map(() => newTokenKey());
const stranger = newTokenKey();
/** One token of each. */
const signed = keys.map((key) => jwsToken(key));

describe('token/routing/router', () => {
  let world: ForeignWorld;
  const of = (name: string) => world.partners.get(name)!;
  const issue = (name: string, token: string, lifeMs = 3_600_000) => {
    const issuedAt = world.clock.now();
    of(name).tokens.set(token, bodyOf('audit', { issuedAt, expiresAt: issuedAt + lifeMs }));
    of(name).holds.add(token);
  };
  /** As the facade does, this cloud's Keystone not knowing the token. */
  const recognise = async (token: string) =>
    world.foreign.recogniseFirst(token) ?? (await world.foreign.recogniseLast(token)) ?? 'nobody';
  const shown = async (token: string): Promise<string> => {
    const found = await recognise(token);
    return typeof found === 'string' ? found : `${found.partner.cloudId} by ${found.by}: ${found.token}`;
  };
  /** As after a search that found it. */
  const prove = (name: string, token: string) =>
    world.foreign.validate({ partner: of(name).partner, token, by: 'hint', settled: true }, { allowExpired: false });
  const told = () => world.sent.filter(({ token }) => token !== null).map(({ to }) => to);

  beforeEach(() => {
    world = createForeignWorld(names);
    world.tokenKeys = names.map((name, i) => storedKey(keys[i]!, of(name).partner));
  });

  describe('a token that is known to be another cloud’s', () => {
    const isForeign = (token: string) => world.foreign.isForeign(token);

    it('says so itself, also while that step is off', () => {
      world.tokens = { ...tokenSettings, qualified: false };
      for (const token of ['a1.east.token', 'a1.nowhere.token', 'a1.'])
        expect([isForeign(token), world.foreign.isQualified(token)], token).to.deep.equal([true, true]);
      expect(isForeign('gAAAAAtoken')).to.equal(false);
    });

    it('is one that its issuer called its own', async () => {
      issue('east', 'gAAAAAtoken');
      await prove('east', 'gAAAAAtoken');
      expect(isForeign('gAAAAAtoken')).to.equal(true);
    });

    it('is one whose signature was verified, as long as that key cannot be this cloud’s; none is verified for it', async () => {
      expect(isForeign(signed[0]!)).to.equal(false);
      world.foreign.recogniseFirst(signed[0]!);
      expect(isForeign(signed[0]!)).to.equal(true);
      world.own = { keys: [], certain: false, isOwn: () => false };
      expect(await shown(signed[0]!)).to.include('east by jws');
      expect(isForeign(signed[0]!)).to.equal(false);
    });

    it('is none that was issued here, whatever a partner called its own', async () => {
      issue('east', 'gAAAAAtoken');
      await prove('east', 'gAAAAAtoken');
      world.hints.learn(
        { token: 'gAAAAAtoken', expiresAt: world.clock.now() + 3_600_000, auditId: undefined },
        'issued',
      );
      expect(isForeign('gAAAAAtoken')).to.equal(false);
    });

    it('is none that a partner announced: it could be one of this cloud’s', () => {
      const hint = world.hints.hintFor('gAAAAAtoken', 'west', 'east');
      world.hints.announced(of('east').partner, hint, world.clock.now() + 3_600_000);
      expect(isForeign('gAAAAAtoken')).to.equal(false);
    });
  });

  it('each step in its order, and each can be switched off', async () => {
    const token = jwsToken(keys[0]!);
    issue('east', token);
    issue('north', token);
    expect(await shown(qualify(token, 'north' as CloudId))).to.equal(`north by qualified: ${token}`);
    expect(await shown(token)).to.equal(`east by jws: ${token}`);
    world.tokens = { ...tokenSettings, jws: false };
    expect(await shown(token)).to.equal('nobody');
    await prove('north', token);
    expect(await shown(token)).to.equal(`north by known: ${token}`);
    world.tokens = { ...tokenSettings, jws: false, known: false };
    expect(await shown(token)).to.equal('nobody');
    world.tokens = { ...tokenSettings, jws: false, known: false, ask: ['south', 'east'] as CloudId[] };
    world.sent.length = 0;
    expect(await shown(token)).to.equal(`east by ask: ${token}`);
    expect(told().sort()).to.deep.equal(['east', 'south']);
    world.tokens = { ...tokenSettings, qualified: false };
    expect(await shown('a1.east.x')).to.equal('nobody');
  });

  const announce = (name: string, token: string) =>
    world.hints.announced(of(name).partner, world.hints.hintFor(token, 'west', name), world.clock.now() + 1000);

  it('announced: it only tells where to ask; of announcements that contradict each other none is believed', async () => {
    expect(await shown('t')).to.equal('nobody');
    announce('north', 't');
    expect(await shown('t')).to.equal('north by known: t');
    announce('south', 't');
    expect(await shown('t')).to.equal('nobody');
    expect(world.errors).to.have.length(1);
  });

  it('an announcement takes no token from whom a signature or its issuer proved to own it: it is dropped, and told once', async () => {
    issue('east', 'u');
    await prove('east', 'u');
    announce('east', 'u');
    expect(await shown('u')).to.equal('east by known: u');
    const signedByEast = jwsToken(keys[0]!, { sub: 'u2' });
    for (const token of ['u', signedByEast]) {
      announce('north', token);
      world.errors.length = 0;
      for (let i = 0; i < 3; i++) expect(await shown(token)).to.match(/^east by (known|jws): /);
      expect(world.errors.map(({ facts }) => facts)).to.deep.equal([{ partner: 'east', announcedBy: 'north' }]);
      expect(world.hints.whoAnnounced(token).map(({ cloudId }) => cloudId)).not.to.include('north');
    }
  });

  it('a signature and what was proved that contradict each other: nobody is believed', async () => {
    const signedByEast = jwsToken(keys[0]!, { sub: 'u2' });
    issue('north', signedByEast);
    await prove('north', signedByEast);
    expect(await shown(signedByEast)).to.equal('unusable');
    expect(world.errors).to.have.length(1);
  });

  it("naming a token as one's own makes it that no further, whatever is said of it", async () => {
    for (const name of ['north', 'east']) issue(name, 't');
    const found = (await recognise('a1.north.t')) as Recognised;
    expect((await world.foreign.validate(found, { allowExpired: false })).kind).to.equal('valid');
    expect(await shown('t')).to.equal('nobody');
  });

  it("while a key of this cloud's own may be unknown, its Keystone comes before any signature", async () => {
    const token = jwsToken(keys[0]!);
    world.own = { keys: [], certain: false, isOwn: () => false };
    expect(world.foreign.recogniseFirst(token)).to.equal(undefined);
    expect((await world.foreign.recogniseLast(token))?.by).to.equal('jws');
    const explained = await world.foreign.explain(token, { local: async () => true });
    expect(explained.issuer).to.equal('local');
    expect(explained.steps.slice(0, 3).map(({ step }) => step)).to.deep.equal(['qualified', 'local', 'jws']);
    expect(world.sent).to.deep.equal([]);
    world.own = { keys: [], certain: true, isOwn: () => false };
    expect(world.foreign.recogniseFirst(token)).to.include({ by: 'jws' });
  });

  it("a partner that publishes the key of this cloud's Keystone is brought none of its tokens", async () => {
    const [east] = keys;
    world.own = ownSigners({ token: jwsToken(east!, { sub: 'broker' }), keys: [], complete: true });
    const token = jwsToken(east!, { sub: 'victim' });
    expect(await shown(token)).to.equal('nobody');
    expect(world.sent).to.deep.equal([]);
  });

  it('a token that is known to be of a cloud which is not trusted now is asked about nowhere else', async () => {
    issue('east', 't');
    await prove('east', 't');
    of('east').state = 'suspended';
    world.tokens = { ...tokenSettings, ask: ['north'] as CloudId[] };
    world.sent.length = 0;
    expect(await shown('t')).to.equal('nobody');
    expect(world.sent).to.deep.equal([]);
    expect(await shown(jwsToken(keys[0]!))).to.equal('unusable');
  });

  it('expired by its own signed claim: invalid, and nobody is asked, unless expired ones are asked for', async () => {
    const now = Math.floor(world.clock.now() / 1000);
    const token = jwsToken(keys[0]!, { exp: now });
    const found = (await recognise(token)) as Exclude<Awaited<ReturnType<typeof recognise>>, string>;
    expect((await world.foreign.validate(found, { allowExpired: false })).kind).to.equal('invalid');
    expect(world.sent).to.deep.equal([]);
    await world.foreign.validate(found, { allowExpired: true });
    expect(told()).to.deep.equal(['east']);
  });

  describe('by hints', () => {
    beforeEach(() => {
      world.tokens = { ...tokenSettings, ask: 'hint' };
    });

    it('only who proves to hold the token is told of it', async () => {
      issue('north', 't');
      expect(await shown('t')).to.equal('north by hint: t');
      expect(told()).to.deep.equal([]);
      expect(world.sent.map(({ to, method }) => `${to} ${method}`).sort()).to.deep.equal(
        names.map((name) => `${name} claimToken`),
      );
    });

    it("where two claim it one of them lies, and it is neither one's: also if only one calls it good, for its issuer may have ended it", async () => {
      for (const ended of [false, true]) {
        issue('east', 't');
        issue('north', 't');
        if (ended) of('east').tokens.delete('t');
        expect(await shown('t')).to.equal('nobody');
        expect(told()).to.deep.equal([]);
        expect(world.errors).to.have.length(1);
      }
    });

    it('one that cannot know whether it issued the token keeps whoever only met it from passing for its issuer', async () => {
      issue('east', 't');
      of('east').holds.delete('t');
      of('east').unsure = true;
      issue('north', 't');
      await rejection(recognise('t'), 'unreachable');
      expect(told()).to.deep.equal([]);
      // Not for how long it ever is so.
      for (let passed = 0; passed <= 2 * foreignLimits.absentMs; passed += foreignLimits.absentMs / 2) {
        world.clock.pass(foreignLimits.absentMs / 2);
        await rejection(recognise('t'), 'unreachable');
      }
      world.clock.pass(tokenLimits.negativeCacheMs);
      of('north').holds.delete('t');
      of('east').holds.add('t');
      expect(await shown('t')).to.equal('east by hint: t');
    });

    it('a claim by one alone counts no longer than an answer does: who claims it later is heard', async () => {
      issue('north', 't');
      expect(
        (await world.foreign.validate((await recognise('t')) as Recognised, { allowExpired: false })).kind,
      ).to.equal('valid');
      of('east').holds.add('t');
      world.clock.pass(tokenSettings.cacheMs - 1);
      expect(await shown('t')).to.equal('north by known: t');
      world.clock.pass(1);
      expect(await shown('t')).to.equal('nobody');
    });

    it('a provider that refuses to say is no provider that says no', async () => {
      issue('north', 't');
      of('east').refuses = true;
      await rejection(recognise('t'), 'unreachable');
    });

    it('one that has told nothing for a minute keeps no garbage undecided; what somebody claims stays so', async () => {
      of('south').away = true;
      issue('north', 'claimed');
      const { absentMs, unaskedMs } = foreignLimits;
      for (let passed = 0; passed < absentMs; passed += absentMs / 4) {
        await rejection(recognise(`garbage-${passed}`), 'unreachable');
        world.clock.pass(absentMs / 4);
      }
      expect(await shown('garbage')).to.equal('nobody');
      await rejection(recognise('claimed'), 'unreachable');
      of('south').away = false;
      expect(await shown('more-garbage')).to.equal('nobody');
      of('south').away = true;
      await rejection(recognise('much-more'), 'unreachable');
      world.clock.pass(unaskedMs + 1);
      await rejection(recognise('later'), 'unreachable');
    });

    it('a token that nobody knows is asked about once in a while', async () => {
      expect(await shown('t')).to.equal('nobody');
      expect(await shown('t')).to.equal('nobody');
      expect(world.sent).to.have.length(3);
      world.clock.pass(5001);
      issue('east', 't');
      expect(await shown('t')).to.equal('east by hint: t');
    });

    it('where nobody claims it and somebody cannot be asked, nothing is decided', async () => {
      of('south').away = true;
      await rejection(recognise('t'), 'unreachable');
      issue('east', 't');
      await rejection(recognise('t'), 'unreachable');
      expect(told()).to.deep.equal([]);
      of('south').away = false;
      expect(await shown('t')).to.equal('east by hint: t');
    });

    it('learns whose it is when everybody has answered', async () => {
      issue('north', 't');
      const found = (await recognise('t')) as Recognised;
      world.tokens = { ...tokenSettings, ask: 'none' };
      expect(await shown('t')).to.equal('nobody');
      await world.foreign.validate(found, { allowExpired: false });
      expect(await shown('t')).to.equal('north by known: t');
    });

    it('one caller with many unknown tokens is refused, before partners refuse us, and others are not', async () => {
      const search = (token: string, caller: string) => world.foreign.recogniseLast(token, { caller });
      const { searchesPerCallerBurst: most } = foreignLimits;
      for (let i = 0; i < most; i++) expect(await search(`garbage ${i}`.replace(' ', '-'), 'ann')).to.equal(undefined);
      await rejection(search('one-more', 'ann'), 'rate_limited');
      issue('east', 't');
      expect((await search('t', 'bob'))?.by).to.equal('hint');
      expect(world.sent).to.have.length(3 * (most + 1));
      world.clock.pass(1000);
      expect(await search('one-more', 'ann')).to.equal(undefined);
    });

    it('in all no more is searched than partners answer', async () => {
      let searches = 0;
      for (; searches <= foreignLimits.searchesBurst; searches++)
        try {
          await world.foreign.recogniseLast(`t${searches}`, { caller: `c${searches}` });
        } catch {
          break;
        }
      expect(searches).to.equal(foreignLimits.searchesBurst);
      expect(foreignLimits.searchesPerS).to.be.lessThan(hintLimits.claimsPerS);
      expect(foreignLimits.searchesBurst).to.be.lessThan(hintLimits.claimsBurst);
    });

    it('a partner that finds it too much is left alone for a while; the others are asked', async () => {
      of('south').limited = true;
      await rejection(recognise('t'), 'unreachable');
      await rejection(recognise('u'), 'unreachable');
      const asked = world.sent.map(({ to }) => to);
      expect(asked.filter((to) => to === 'south')).to.have.length(1);
      expect(asked.filter((to) => to === 'east')).to.have.length(2);
      of('south').limited = false;
      world.clock.pass(foreignLimits.retryAfterMs);
      expect(await shown('v')).to.equal('nobody');
    });

    it('500 who ask at a time are one question to each partner', async () => {
      issue('east', 't');
      const found = await Promise.all(Array.from({ length: 500 }, () => shown('t')));
      expect(new Set(found)).to.deep.equal(new Set(['east by hint: t']));
      expect(world.sent).to.have.length(3);
    });

    it('many partners are asked a few at a time', async () => {
      const many = Array.from({ length: 50 }, (_, i) => `p${i}`);
      world = createForeignWorld(many);
      world.tokens = { ...tokenSettings, ask: 'hint' };
      let hear: () => void = () => undefined;
      world.gate = new Promise<void>((resolve) => {
        hear = resolve;
      });
      const answer = shown('t');
      await new Promise(setImmediate);
      expect(world.sent).to.have.length(foreignLimits.claimsAtOnce);
      hear();
      expect(await answer).to.equal('nobody');
      expect(world.sent).to.have.length(50);
    });
  });

  describe('named ones', () => {
    beforeEach(() => {
      world.tokens = { ...tokenSettings, ask: ['east', 'north'] as CloudId[] };
    });

    it("where one that may know it does not tell, nothing is decided; garbage is nobody's after a minute, and nothing else ever is", async () => {
      of('east').away = true;
      await rejection(recognise('t'), 'unreachable');
      issue('north', 't');
      await rejection(recognise('t'), 'unreachable');
      world.clock.pass(foreignLimits.absentMs);
      await rejection(recognise('t'), 'unreachable');
      expect(await shown('garbage')).to.equal('nobody');
      of('east').away = false;
      of('east').tokens.set('t', 'overloaded');
      await rejection(recognise('t'), 'unreachable');
      of('east').tokens.delete('t');
      expect(await shown('t')).to.equal('north by ask: t');
    });

    it("all of them are asked, and where two say yes it is neither one's", async () => {
      issue('east', 't');
      issue('north', 't');
      expect(await shown('t')).to.equal('nobody');
      expect(told().sort()).to.deep.equal(['east', 'north']);
      expect(world.errors).to.have.length(1);
    });

    it('an old answer of one that is away is no yes', async () => {
      world.staleMs = 3_600_000;
      issue('east', 't');
      follow(world, 'east');
      expect(await shown('t')).to.equal('east by ask: t');
      world.clock.pass(tokenSettings.cacheMs);
      of('east').away = true;
      await rejection(recognise('t'), 'unreachable');
    });

    it('what they say is learnt when all of them could be asked', async () => {
      issue('north', 't');
      for (const [state, settled] of [
        ['suspended', undefined],
        ['active', true],
      ] as const) {
        of('east').state = state;
        expect(((await recognise('t')) as Recognised).settled).to.equal(settled);
      }
      world.tokens = { ...tokenSettings, ask: ['east', 'nobody', 'north'] as CloudId[] };
      expect(((await recognise('t')) as Recognised).settled).to.equal(undefined);
    });
  });

  describe("this cloud's own tokens", () => {
    const own = newTokenKey();
    const nobodyHears = async (token: string, by: () => void) => {
      for (const ask of ['hint', ['east'] as CloudId[]] as const)
        for (const announced of [false, true]) {
          world = createForeignWorld(names);
          world.tokens = { ...tokenSettings, jws: announced, ask };
          issue('east', token);
          by();
          if (announced) announce('east', token);
          expect(await shown(token)).to.equal('nobody');
          expect((await world.foreign.explain(token, { local: async () => false })).issuer).to.equal(null);
          expect(world.sent).to.deep.equal([]);
        }
    };

    it('are brought to nobody when they were issued here, also after their end', () =>
      nobodyHears('t', () => {
        world.hints.learn({ token: 't', expiresAt: world.clock.now() + 1000, auditId: undefined }, 'issued');
        world.clock.pass(2000);
      }));

    it('are brought to nobody when a key of this cloud signed them', () =>
      nobodyHears(jwsToken(own), () => {
        world.own = ownSigners({ token: 'gAAAAAB-opaque', keys: [own], complete: true });
      }));

    it('are brought to nobody when Keystone knows them in any way: expired, or with access rules', () =>
      nobodyHears('t', () => {
        world.local!.add('t');
      }));

    it('a signature that may be of this cloud tells nothing before Keystone does', async () => {
      const token = jwsToken(keys[0]!);
      world.own = { keys: [], certain: false, isOwn: () => false };
      world.local!.add(token);
      expect(await shown(token)).to.equal('nobody');
    });

    it('where Keystone does not say, nothing is decided, and nobody is asked', async () => {
      world.tokens = { ...tokenSettings, ask: ['east'] as CloudId[] };
      world.local = null;
      await rejection(recognise('t'), 'keystone_unreachable');
      announce('east', 't');
      await rejection(recognise('t'), 'keystone_unreachable');
      expect(world.sent).to.deep.equal([]);
    });

    it('Keystone is asked once in a while about one token, and not about garbage beyond what may be searched', async () => {
      world.tokens = { ...tokenSettings, ask: ['east'] as CloudId[] };
      for (let i = 0; i < 3; i++) await recognise('t');
      expect(world.asked).to.deep.equal(['t']);
      world.clock.pass(tokenSettings.cacheMs);
      await recognise('t');
      expect(world.asked).to.have.length(2);
      for (let i = 0; i < 2 * foreignLimits.searchesPerCallerBurst; i++)
        await world.foreign.recogniseLast(`g${i}`, { caller: 'ann' }).catch(() => undefined);
      expect(world.asked).to.have.length(2 + foreignLimits.searchesPerCallerBurst);
    });

    it("whoever's it is, what has expired by its own signed claim is nobody's, and nobody is asked", async () => {
      world.tokens = { ...tokenSettings, ask: 'hint' };
      of('south').away = true;
      const now = Math.floor(world.clock.now() / 1000);
      const token = jwsToken(stranger, { exp: now });
      expect(await shown(token)).to.equal('nobody');
      expect([world.sent, world.asked]).to.deep.equal([[], []]);
      await rejection(world.foreign.recogniseLast(token, { allowExpired: true }), 'unreachable');
    });
  });

  it('explains each step, and shows no token', async () => {
    const token = 'secret-token-that-nobody-may-see';
    issue('north', token);
    world.tokens = { ...tokenSettings, ask: 'hint', jws: false };
    const { steps, issuer, recognised, verdict, ...rest } = await world.foreign.explain(token, {
      local: async () => false,
    });
    expect(steps.map(({ step, on, outcome }) => `${step} ${on} ${outcome}`)).to.deep.equal([
      'qualified true no',
      'jws false not asked',
      'local true no',
      'known true no',
      'hint true recognised',
      'ask false not asked',
    ]);
    expect([issuer, recognised?.by, verdict?.kind]).to.deep.equal(['north', 'hint', 'valid']);
    expect(JSON.stringify([steps, issuer, rest])).not.to.contain('that-nobody');
  });

  it('no cloud ever sees a token but its issuer by the route, one that holds it, or one that is named; and none becomes its owner while another may be', async () => {
    const cloud = fc.constantFrom(...names);
    const ownKey = newTokenKey();
    const ours = ['ours-1', jwsToken(ownKey)];
    const token = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('opaque-1', 'opaque-2') },
      { weight: 1, arbitrary: fc.constantFrom(...signed) },
      { weight: 1, arbitrary: fc.constantFrom(jwsToken(stranger), ...ours, 'ours-2') },
    );
    const three = <T>(each: fc.Arbitrary<T>) => fc.array(each, { minLength: 3, maxLength: 3 });
    const scenario = fc.record({
      states: three(
        fc.oneof(
          { weight: 5, arbitrary: fc.constant('active') },
          { weight: 1, arbitrary: fc.constantFrom('suspended', 'revoked', 'pending', 'expired') },
        ),
      ),
      roles: three(fc.constantFrom('provider', 'provider', 'both', 'consumer')),
      away: three(fc.constantFrom(false, false, false, false, true)),
      unsure: three(fc.constantFrom(false, false, false, false, true)),
      tokens: fc.record({
        qualified: fc.boolean(),
        jws: fc.boolean(),
        known: fc.constantFrom(true, true, false),
        ask: fc.oneof(fc.constantFrom('none', 'hint', 'hint'), fc.uniqueArray(fc.constantFrom(...names, 'nobody'))),
      }),
      issued: fc.array(fc.tuple(cloud, token)),
      met: fc.array(fc.tuple(cloud, token)),
      announced: fc.array(fc.tuple(cloud, token)),
      questions: fc.array(
        fc.record({
          text: token,
          prefix: fc.option(fc.constantFrom(...names, 'nobody', 'a1.east')),
          allowExpired: fc.boolean(),
          passMs: fc.constantFrom(0, 0, 0, 0, 400, tokenSettings.cacheMs, foreignLimits.absentMs),
        }),
        { minLength: 1, maxLength: 8 },
      ),
    });
    let handed = 0;
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        world = createForeignWorld(names);
        world.tokens = { ...tokenSettings, ...(given.tokens as object) };
        world.tokenKeys = names.map((name, i) => storedKey(keys[i]!, of(name).partner));
        world.own = ownSigners({ token: 'gAAAAAB-opaque', keys: [ownKey], complete: true });
        world.hints.learn({ token: 'ours-1', expiresAt: world.clock.now() + 1000, auditId: undefined }, 'issued');
        world.local!.add('ours-2');
        names.forEach((name, i) => {
          const { states, roles, away, unsure } = given;
          Object.assign(of(name), { state: states[i], role: roles[i], away: away[i], unsure: unsure[i] });
        });
        const { ask, jws, known, qualified } = given.tokens;
        const isProvider = (name: string) => of(name)?.state === 'active' && of(name).role !== 'consumer';
        const providers = names.filter(isProvider);
        for (const [name, text] of given.issued) issue(name, text);
        for (const [name, text] of given.met) of(name).holds.add(text);
        const announcedBy = new Map<string, number>();
        for (const [name, text] of given.announced) {
          announcedBy.set(`${name} ${text}`, world.clock.now() + 1000);
          announce(name, text);
        }
        const announcers = (text: string) =>
          providers.filter((name) => (announcedBy.get(`${name} ${text}`) ?? 0) > world.clock.now());
        /** Clouds that a token was qualified for so far: what they called good is known to be theirs. */
        const route = new Set<string>();
        /** What was learnt, and how. */
        const owners = new Map<string, { owner: string; by: string; at: number }>();

        /** Whoever is taken for the owner is the only one who can be. */
        const check = (text: string, { partner: { cloudId: owner }, by, settled }: Recognised) => {
          seen.set(by, (seen.get(by) ?? 0) + 1);
          expect([...ours, 'ours-2'], "this cloud's own").not.to.include(text);
          expect(isProvider(owner)).to.equal(true);
          const signer = names[signed.indexOf(text)];
          if (jws && signer) expect([owner, by], 'against a signature').to.deep.equal([signer, 'jws']);
          if (by === 'hint') {
            expect(providers.filter((name) => of(name).holds.has(text))).to.deep.equal([owner]);
            const silent = providers.filter((name) => of(name).away || (of(name).unsure && name !== owner));
            expect(silent, 'claimed while others did not tell').to.deep.equal([]);
          } else if (by === 'ask') {
            const named = providers.filter((name) => (ask as string[]).includes(name));
            expect(named.filter((name) => of(name).away)).to.deep.equal([]);
            expect(named.filter((name) => of(name).tokens.has(text))).to.deep.equal([owner]);
            expect(settled ?? false).to.equal(named.length === ask.length);
          } else if (by === 'known') {
            const learnt = owners.get(text);
            const counts =
              learnt && (learnt.by === 'ask' || world.clock.monotonic() - learnt.at < tokenSettings.cacheMs);
            if (counts) expect(owner, 'against what was proved').to.equal(learnt.owner);
            else expect(announcers(text), 'by an announcement').to.deep.equal([owner]);
          } else expect([by, owner]).to.deep.equal(['jws', signer]);
        };

        for (const { text, prefix, allowExpired, passMs } of given.questions) {
          world.clock.pass(passMs);
          if (prefix && qualified) route.add(`${prefix} ${text}`);
          const found = await recognise(prefix ? `a1.${prefix}.${text}` : text).catch(() => 'undecided' as const);
          if (typeof found === 'string') continue;
          if (!prefix) check(text, found);
          const verdict = await world.foreign.validate(found, { allowExpired });
          if (verdict.kind === 'valid' && found.settled)
            owners.set(text, { owner: found.partner.cloudId, by: found.by, at: world.clock.monotonic() });
        }
        for (const { to, token: text } of world.sent) {
          if (text === null) continue;
          handed += 1;
          const i = names.indexOf(to as (typeof names)[number]);
          const allowed =
            route.has(`${to} ${text}`) ||
            (![...ours, 'ours-2'].includes(text) &&
              ((jws && text === signed[i]) ||
                (known && announcedBy.has(`${to} ${text}`)) ||
                (ask === 'hint' && of(to).holds.has(text)) ||
                (Array.isArray(ask) && (ask as string[]).includes(to))));
          expect(allowed, `${text.slice(0, 12)} was handed to ${to}`).to.equal(true);
          expect([given.states[i], given.roles[i] === 'consumer']).to.deep.equal(['active', false]);
          expect(text.startsWith('a1.')).to.equal(false);
        }
      }),
      { numRuns: 600 },
    );
    expect(handed).to.be.greaterThan(100);
    for (const step of ['jws', 'known', 'hint', 'ask']) expect(seen.get(step), step).to.be.greaterThan(3);
  }).timeout(60_000);
});
