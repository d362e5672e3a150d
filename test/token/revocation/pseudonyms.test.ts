import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { matches } from '../../../src/token/revocation/match.ts';
import { disguiseEvent, disguiseToken, pseudonymsOf } from '../../../src/token/revocation/pseudonyms.ts';
import { anyEvent, anyToken, fullEvent } from '../../support/revocations.ts';

const pseudonyms = pseudonymsOf('west', 'east');

describe('pseudonyms of ids', () => {
  it('are what docs/protocol.md says', () => {
    const l = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);
    const hash = createHash('sha256')
      .update('alliance/1 revocation')
      .update(Buffer.concat([l('west'), l('east')]))
      .update('Jürgen Doe')
      .digest();
    expect(pseudonyms('Jürgen Doe')).to.equal(hash.subarray(0, 16).toString('base64url'));
  });

  it('are others for each pair of clouds, in each direction', () => {
    const pairs = [
      ['west', 'east'],
      ['east', 'west'],
      ['north', 'east'],
      ['weste', 'ast'],
    ] as const;
    expect(new Set(pairs.map(([asker, asked]) => pseudonymsOf(asker, asked)('u1')))).to.have.length(pairs.length);
  });

  it('lead from an event to the tokens that it is about, and to no other', () => {
    fc.assert(
      fc.property(anyEvent, anyToken, (event, token) => {
        const told = disguiseEvent(event, pseudonyms);
        expect(matches(told, disguiseToken(token, pseudonyms))).to.equal(matches(event, token));
      }),
      { numRuns: 2000 },
    );
  });

  it('leave no id in an event, whatever characters are in it, and no time out of it', () => {
    const event = { ...fullEvent(1000), userId: "o'neil \u0001\n", roleId: 'r'.repeat(2000) };
    const { revokedAt, issuedBefore, expiresAt, ...ids } = disguiseEvent(event, pseudonyms);
    expect([revokedAt, issuedBefore, expiresAt]).to.deep.equal([1000, 1000, event.expiresAt]);
    expect(Object.keys(ids)).to.have.length(8);
    for (const id of Object.values(ids)) expect(id).to.match(/^[\w-]{22}$/);
  });
});
