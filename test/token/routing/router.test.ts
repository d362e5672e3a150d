/** Whose token is it, and who gets to see it: whatever the configuration, only clouds that it is of, that hold it, or that are named. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { CloudId } from '../../../src/core/ids.ts';
import { foreignLimits, tokenLimits } from '../../../src/core/limits.ts';
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
  const told = () => world.sent.filter(({ token }) => token !== null).map(({ to }) => to);

  beforeEach(() => {
    world = createForeignWorld(names);
    world.tokenKeys = names.map((name, i) => storedKey(keys[i]!, of(name).partner));
  });

  it('each step in its order, and each can be switched off', async () => {
    const token = jwsToken(keys[0]!);
    issue('east', token);
    issue('north', token);
    expect(await shown(qualify(token, 'north' as CloudId))).to.equal(`north by qualified: ${token}`);
    expect(await shown(token)).to.equal(`east by jws: ${token}`);
    world.tokens = { ...tokenSettings, jws: false };
    expect(await shown(token)).to.equal('nobody');
    await world.foreign.validate({ partner: of('north').partner, token, by: 'qualified' }, { allowExpired: false });
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

  it('announced: it only tells where to ask, and never stands above what was proven', async () => {
    const hintOf = (name: string) => world.hints.hintFor('t', 'west', name);
    expect(await shown('t')).to.equal('nobody');
    world.hints.announced(of('north').partner, hintOf('north'), world.clock.now() + 1000);
    expect(await shown('t')).to.equal('north by known: t');
    issue('east', 't');
    await world.foreign.validate({ partner: of('east').partner, token: 't', by: 'qualified' }, { allowExpired: false });
    expect(await shown('t')).to.equal('east by known: t');
  });

  it('a token that is known to be of a cloud which is not trusted now is asked about nowhere else', async () => {
    issue('east', 't');
    await world.foreign.validate({ partner: of('east').partner, token: 't', by: 'qualified' }, { allowExpired: false });
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
      expect(await shown('t')).to.equal('east by hint: t');
      expect(told()).to.deep.equal([]);
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
