/** Whose token is it, and who gets to see it: whatever the configuration, only clouds that it is of, that hold it, or that are named. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { CloudId } from '../../../src/core/ids.ts';
import { foreignLimits, hintLimits, tokenLimits } from '../../../src/core/limits.ts';
import type { Recognised } from '../../../src/token/foreign.ts';
import { ownSigners } from '../../../src/token/ownSigners.ts';
import { qualify } from '../../../src/token/routing/qualified.ts';
import { rejection } from '../../support/errors.ts';
import { bodyOf, createForeignWorld, type ForeignWorld, tokenSettings } from '../../support/foreign.ts';
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
      world.own = { certain: false, isOwn: () => false };
      expect(await shown(signed[0]!)).to.include('east by jws');
      expect(isForeign(signed[0]!)).to.equal(false);
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
    expect(told()).to.deep.equal(['south', 'east']);
    world.tokens = { ...tokenSettings, qualified: false };
    expect(await shown('a1.east.x')).to.equal('nobody');
  });

  it('announced: it only tells where to ask, and whoever disagrees with it or with what was proven, nobody is believed', async () => {
    const announce = (name: string, token: string) =>
      world.hints.announced(of(name).partner, world.hints.hintFor(token, 'west', name), world.clock.now() + 1000);
    expect(await shown('t')).to.equal('nobody');
    announce('north', 't');
    expect(await shown('t')).to.equal('north by known: t');
    announce('south', 't');
    expect(await shown('t')).to.equal('nobody');
    issue('east', 'u');
    await prove('east', 'u');
    expect(await shown('u')).to.equal('east by known: u');
    announce('east', 'u');
    expect(await shown('u')).to.equal('east by known: u');
    announce('north', 'u');
    expect(await shown('u')).to.equal('nobody');
    const signedByEast = jwsToken(keys[0]!, { sub: 'u2' });
    expect(await shown(signedByEast)).to.match(/^east by jws/);
    announce('north', signedByEast);
    expect(await shown(signedByEast)).to.equal('unusable');
  });

  it("naming a token as one's own makes it that no further, whatever is said of it", async () => {
    for (const name of ['north', 'east']) issue(name, 't');
    const found = (await recognise('a1.north.t')) as Recognised;
    expect((await world.foreign.validate(found, { allowExpired: false })).kind).to.equal('valid');
    expect(await shown('t')).to.equal('nobody');
  });

  it("while a key of this cloud's own may be unknown, its Keystone comes before any signature", async () => {
    const token = jwsToken(keys[0]!);
    world.own = { certain: false, isOwn: () => false };
    expect(world.foreign.recogniseFirst(token)).to.equal(undefined);
    expect((await world.foreign.recogniseLast(token))?.by).to.equal('jws');
    const explained = await world.foreign.explain(token, { local: async () => true });
    expect(explained.issuer).to.equal('local');
    expect(explained.steps.slice(0, 3).map(({ step }) => step)).to.deep.equal(['qualified', 'local', 'jws']);
    expect(world.sent).to.deep.equal([]);
    world.own = { certain: true, isOwn: () => false };
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

    it('of several who hold it the one whose Keystone calls it good has it', async () => {
      of('east').holds.add('t');
      issue('north', 't');
      expect(await shown('t')).to.equal('north by hint: t');
      expect(told()).to.deep.equal(['east', 'north']);
    });

    it("where two say that it is good one of them lies, and it is neither one's; also later", async () => {
      issue('east', 't');
      issue('north', 't');
      expect(await shown('t')).to.equal('nobody');
      world.tokens = { ...tokenSettings, ask: 'none' };
      expect(await shown('t')).to.equal('nobody');
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

    it('of two who hold it one calls it good and the other does not answer: nothing is decided, and nothing learned', async () => {
      issue('north', 't');
      of('east').holds.add('t');
      of('east').tokens.set('t', 'indeterminate');
      await rejection(recognise('t'), 'unreachable');
      world.tokens = { ...tokenSettings, ask: 'none' };
      expect(await shown('t')).to.equal('nobody');
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

  it('named ones: where one that may know it cannot be asked, nothing is decided', async () => {
    world.tokens = { ...tokenSettings, ask: ['east', 'north'] as CloudId[] };
    of('east').away = true;
    await rejection(recognise('t'), 'unreachable');
    issue('north', 't');
    world.clock.pass(tokenLimits.negativeCacheMs);
    expect(await shown('t')).to.equal('north by ask: t');
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

  it('no cloud ever sees a token but its issuer by the route, one that holds it, or one that is named', async () => {
    const cloud = fc.constantFrom(...names);
    const token = fc.oneof(
      fc.constantFrom('opaque-1', 'opaque-2'),
      fc.constantFrom(...signed),
      fc.constant(jwsToken(stranger)),
    );
    const scenario = fc.record({
      states: fc.array(fc.constantFrom('active', 'active', 'suspended', 'revoked', 'pending', 'expired'), {
        minLength: 3,
        maxLength: 3,
      }),
      roles: fc.array(fc.constantFrom('provider', 'both', 'consumer'), { minLength: 3, maxLength: 3 }),
      away: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
      tokens: fc.record({
        qualified: fc.boolean(),
        jws: fc.boolean(),
        known: fc.boolean(),
        ask: fc.oneof(fc.constantFrom('none', 'hint'), fc.uniqueArray(fc.constantFrom(...names, 'nobody'))),
      }),
      issued: fc.array(fc.tuple(cloud, token)),
      met: fc.array(fc.tuple(cloud, token)),
      announced: fc.array(fc.tuple(cloud, token)),
      questions: fc.array(fc.tuple(token, fc.option(fc.constantFrom(...names, 'nobody', 'a1.east')), fc.boolean()), {
        minLength: 1,
        maxLength: 8,
      }),
    });
    let handed = 0;
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        world = createForeignWorld(names);
        world.tokens = { ...tokenSettings, ...(given.tokens as object) };
        world.tokenKeys = names.map((name, i) => storedKey(keys[i]!, of(name).partner));
        names.forEach((name, i) => {
          Object.assign(of(name), { state: given.states[i], role: given.roles[i], away: given.away[i] });
        });
        for (const [name, text] of given.issued) issue(name, text);
        for (const [name, text] of given.met) of(name).holds.add(text);
        const announcedBy = new Set<string>();
        for (const [name, text] of given.announced) {
          announcedBy.add(`${name} ${text}`);
          world.hints.announced(of(name).partner, world.hints.hintFor(text, 'west', name), world.clock.now() + 1000);
        }
        /** Clouds that a token was qualified for so far: what they called good is known to be theirs. */
        const route = new Set<string>();
        for (const [text, prefix, allowExpired] of given.questions) {
          if (prefix && given.tokens.qualified) route.add(`${prefix} ${text}`);
          const found = await recognise(prefix ? `a1.${prefix}.${text}` : text).catch(() => 'undecided' as const);
          if (typeof found !== 'string') await world.foreign.validate(found, { allowExpired });
        }
        for (const { to, token: text } of world.sent) {
          if (text === null) continue;
          handed += 1;
          const i = names.indexOf(to as (typeof names)[number]);
          const { ask, jws, known } = given.tokens;
          const allowed =
            route.has(`${to} ${text}`) ||
            (jws && text === signed[i]) ||
            (known && announcedBy.has(`${to} ${text}`)) ||
            (ask === 'hint' && of(to).holds.has(text)) ||
            (Array.isArray(ask) && (ask as string[]).includes(to));
          expect(allowed, `${text.slice(0, 12)} was handed to ${to}`).to.equal(true);
          expect([given.states[i], given.roles[i] === 'consumer']).to.deep.equal(['active', false]);
          expect(text.startsWith('a1.')).to.equal(false);
        }
      }),
      { numRuns: 300 },
    );
    expect(handed).to.be.greaterThan(100);
  }).timeout(60_000);
});
