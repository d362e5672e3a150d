import { expect } from 'chai';
import type { Partner } from '../../../src/model/partner.ts';
import { JwsIssuers, readJws } from '../../../src/token/routing/jws.ts';
import { jwsToken, newTokenKey, storedKey } from '../../support/tokenKeys.ts';

const east = { uid: 'uid-of-east' } as unknown as Partner;
const north = { uid: 'uid-of-north' } as unknown as Partner;
const issuerOf = (token: string, keys: Parameters<JwsIssuers['issuerOf']>[2]) =>
  new JwsIssuers().issuerOf(token, 'id', keys);

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
    const issuers = new JwsIssuers();
    expect(issuers.issuerOf(token, 'id', [])).to.equal(undefined);
    expect(issuers.issuerOf(token, 'id', keys)).to.equal(east.uid);
    expect(issuers.issuerOf(token, 'id', keys)).to.equal(east.uid);
    expect(issuers.issuerOf(token, 'id', [storedKey(key, east, 'disputed')])).to.equal(undefined);
  });
});
