import { expect } from 'chai';
import { foreignLimits, tokenKeyLimits } from '../../../src/core/limits.ts';
import type { Partner } from '../../../src/model/partner.ts';
import type { StoredTokenKey } from '../../../src/model/tokenKey.ts';
import { type OwnSigners, ownSigners } from '../../../src/token/ownSigners.ts';
import { JwsIssuers, readJws } from '../../../src/token/routing/jws.ts';
import { jwsToken, newTokenKey, storedKey } from '../../support/tokenKeys.ts';

const east = { uid: 'uid-of-east' } as unknown as Partner;
const north = { uid: 'uid-of-north' } as unknown as Partner;
const own: OwnSigners = { keys: [], certain: true, isOwn: () => false };

function newIssuers() {
  const seized: string[] = [];
  let at = 0;
  const issuers = new JwsIssuers({ now: () => at, onOwn: ({ partnerUid }) => seized.push(partnerUid) });
  const pass = (ms: number) => {
    at += ms;
  };
  return { issuers, seized, pass };
}

const issuerOf = (token: string, stored: readonly StoredTokenKey[]) =>
  newIssuers().issuers.issuerOf(token, 'id', { stored, own });

describe('token/routing/jws', () => {
  for (const algorithm of ['ES256', 'ES384', 'ES512', 'EdDSA'] as const)
    it(`${algorithm}: the key that signed it says whose it is`, () => {
      const [own, other] = [newTokenKey(algorithm), newTokenKey(algorithm)];
      const keys = [storedKey(other, north), storedKey(own, east)];
      expect(issuerOf(jwsToken(own), keys)).to.equal(east.uid);
      expect(issuerOf(jwsToken(other), keys)).to.equal(north.uid);
      expect(issuerOf(jwsToken(newTokenKey(algorithm)), keys)).to.equal(undefined);
    });

  const key = newTokenKey();
  const keys = [storedKey(key, east)];
  const token = jwsToken(key);
  const [first, second, third] = token.split('.') as [string, string, string];
  const spoil = (text: string) => text.slice(0, 10) + (text[10] === 'A' ? 'B' : 'A') + text.slice(11);

  const refused: readonly [what: string, token: string][] = [
    ['another signature', `${first}.${second}.${spoil(third)}`],
    ['other claims', `${first}.${spoil(second)}.${third}`],
    ['a signature in the form of DER', `${first}.${second}.${Buffer.alloc(70, 0x30).toString('base64url')}`],
    ['an empty signature', `${first}.${second}.`],
    ['a fourth part', `${token}.x`],
    ['padding', `${first}.${second}=.${third}`],
    ['another algorithm than that of the key', jwsToken(key, {}, { alg: 'ES384' })],
    ['no algorithm', jwsToken(key, {}, { alg: 'none' })],
    ['HMAC with the public key', jwsToken(key, {}, { alg: 'HS256' })],
    ['a critical extension', jwsToken(key, {}, { crit: ['b64'], b64: false })],
    ['another type', jwsToken(key, {}, { typ: 'alliance-request' })],
    ['no expiry', jwsToken(key, { exp: undefined })],
    ['an expiry that is no number', jwsToken(key, { exp: 'never' })],
    ['nobody', jwsToken(key, { sub: undefined })],
    ['no audit ids', jwsToken(key, { openstack_audit_ids: undefined })],
    ['no methods, like tokens of others', jwsToken(key, { openstack_methods: undefined })],
  ];
  for (const [what, text] of refused)
    it(`recognises nobody in a token with ${what}`, () => expect(issuerOf(text, keys)).to.equal(undefined));

  it('tells when it expires', () => {
    expect(readJws(jwsToken(key, { exp: 1_900_000_000 }))?.expiresAt).to.equal(1_900_000_000_000);
    expect(readJws('gAAAAAB-opaque')).to.equal(undefined);
  });

  it('a disputed or refused key says nothing, a chosen one does', () => {
    for (const state of ['disputed', 'refused'] as const)
      expect(issuerOf(token, [storedKey(key, east, state)])).to.equal(undefined);
    expect(issuerOf(token, [storedKey(key, east, 'chosen')])).to.equal(east.uid);
  });

  it('what is remembered of a token goes with the keys', () => {
    const { issuers } = newIssuers();
    const whose = (stored: readonly StoredTokenKey[]) => issuers.issuerOf(token, 'id', { stored, own });
    expect(whose([])).to.equal(undefined);
    expect(whose(keys)).to.equal(east.uid);
    expect(whose(keys)).to.equal(east.uid);
    expect(whose([storedKey(key, east, 'disputed')])).to.equal(undefined);
  });

  it("a partner's key that turns out to be this cloud's own is not used from then on, and told", () => {
    const { issuers, seized } = newIssuers();
    expect(issuers.issuerOf(token, 'id', { stored: keys, own })).to.equal(east.uid);
    const evidence = { token: jwsToken(key, { sub: 'broker' }), keys: [], complete: true };
    expect(issuers.issuerOf(token, 'id', { stored: keys, own: ownSigners(evidence) })).to.equal(undefined);
    expect(seized).to.deep.equal([east.uid]);
  });

  it('of many keys of one partner the chosen and the newest are tried, and no more', () => {
    const many = Array.from({ length: tokenKeyLimits.keys }, () => newTokenKey());
    const stored = many.map((each, createdAt) => ({ ...storedKey(each, east), createdAt }));
    stored[1] = { ...stored[1]!, state: 'chosen' };
    const tried = many.flatMap((each, i) => (issuerOf(jwsToken(each), stored) ? [i] : []));
    expect(tried).to.deep.equal([1, ...[3, 2, 1].map((i) => many.length - i)]);
  });

  it('who sends garbage gets a share of the time and no more; a failure is remembered, and what was good stays so', () => {
    const { issuers, pass } = newIssuers();
    const slow = Array.from({ length: tokenKeyLimits.usedPerPartner }, () => storedKey(newTokenKey('ES512'), north));
    const given = { stored: [...slow, ...keys], own };
    expect(issuers.issuerOf(token, 'good', given)).to.equal(east.uid);
    const garbage = jwsToken(newTokenKey('ES512'));
    expect(issuers.issuerOf(garbage, 'first', given)).to.equal(undefined);
    const startedAt = performance.now();
    let tries = 0;
    while (tries < 2000 && issuers.issuerOf(garbage, `garbage ${tries}`, given) !== 'busy') tries += 1;
    expect(tries).to.be.lessThan(2000);
    expect(performance.now() - startedAt).to.be.lessThan(10 * foreignLimits.verifyMsBurst);
    expect(tries).to.be.greaterThan(0);
    expect(issuers.issuerOf(garbage, 'first', given)).to.equal(undefined);
    expect(issuers.issuerOf(token, 'good', given)).to.equal(east.uid);
    pass(1000);
    expect(issuers.issuerOf(garbage, 'later', given)).to.equal(undefined);
  });
});
