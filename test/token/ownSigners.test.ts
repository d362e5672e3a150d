/** What this cloud knows of its own keys, from the operator and from the broker's own token. */
import { expect } from 'chai';
import type { Partner } from '../../src/model/partner.ts';
import { type OwnEvidence, ownSigners } from '../../src/token/ownSigners.ts';
import { jwsToken, newTokenKey, storedKey } from '../support/tokenKeys.ts';

const partner = { uid: 'uid-of-east' } as unknown as Partner;
const [ours, alsoOurs, theirs] = [newTokenKey(), newTokenKey('ES512'), newTokenKey()];

describe('token/ownSigners', () => {
  const certain: readonly [what: string, evidence: OwnEvidence, certain: boolean][] = [
    ['no token yet', { token: undefined, keys: [ours], complete: true }, false],
    ['an opaque token', { token: 'gAAAAAB-opaque', keys: [], complete: true }, true],
    ['an opaque token, files that cannot be read', { token: 'gAAAAAB-opaque', keys: [], complete: false }, true],
    ['a signed token, no keys', { token: jwsToken(ours), keys: [], complete: true }, false],
    ['a signed token, its key', { token: jwsToken(ours), keys: [alsoOurs, ours], complete: true }, true],
    [
      'a signed token, its key, files that cannot be read',
      { token: jwsToken(ours), keys: [ours], complete: false },
      false,
    ],
    ['a signed token, other keys', { token: jwsToken(ours), keys: [theirs], complete: true }, false],
    ['what only looks signed', { token: 'eyJx.y.z', keys: [ours], complete: true }, false],
  ];
  for (const [what, evidence, expected] of certain)
    it(`${what}: ${expected ? 'certain' : 'not certain'}`, () =>
      expect(ownSigners(evidence).certain).to.equal(expected));

  it('own are those that are configured, and the one that signed our token', () => {
    const { isOwn } = ownSigners({ token: jwsToken(ours), keys: [alsoOurs], complete: true });
    const found = [ours, alsoOurs, theirs, newTokenKey('EdDSA')].map((key) => isOwn(storedKey(key, partner)));
    expect(found).to.deep.equal([true, true, false, false]);
  });
});
