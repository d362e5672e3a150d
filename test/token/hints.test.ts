import { createHash, createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import type { CloudId, PartnerUid } from '../../src/core/ids.ts';
import { hintLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { Hints } from '../../src/token/hints.ts';
import { OwnTokens } from '../../src/token/ownTokens.ts';
import { createTestClock, testStart } from '../support/store.ts';

const partnerOf = (cloudId: string): Partner =>
  ({ uid: `uid-${cloudId}` as PartnerUid, cloudId: cloudId as CloudId, role: 'both' }) as Partner;

/** One cloud's hints; `partners` are those that it knows. */
function hintsOf(cloudId: string, partners: Partner[], limit?: number) {
  const clock = createTestClock();
  const view = {
    cloudId: cloudId as CloudId,
    partnerByUid: (uid: PartnerUid) => partners.find((one) => one.uid === uid),
    stateOf: (partner: Partner) => partner.state ?? ('active' as const),
  };
  if (limit === undefined) return { clock, hints: new Hints({ view, clock }) };
  const own = new OwnTokens({ clock, allHere: () => false, limit });
  return { clock, hints: new Hints({ view, clock, own, announcedPerPartner: limit }) };
}

const nonce = Buffer.alloc(32, 5);
const later = testStart + 1000;

describe('hints', () => {
  const [east, west, north] = ['east', 'west', 'north'].map(partnerOf) as [Partner, Partner, Partner];

  it('and proofs are what docs/protocol.md says', () => {
    const { hints } = hintsOf('west', [east]);
    const key = createHash('sha256').update('alliance/1 token').update('secret').digest();
    const l = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);
    const hint = createHmac('sha256', key).update('alliance/1 hint').update(l('west')).update(l('east')).digest();
    expect(hints.hintFor('secret', 'west', 'east')).to.deep.equal(hint);
    const proof = createHmac('sha256', key)
      .update('alliance/1 claim')
      .update(nonce)
      .update(l('west'))
      .update(l('east'))
      .digest();
    expect(hints.verifyProof('secret', nonce, proof, east)).to.equal(true);
    expect(hints.verifyProof('secret', Buffer.alloc(32, 6), proof, east)).to.equal(false);
    expect(hints.verifyProof('secret', nonce, proof.subarray(1), east)).to.equal(false);
  });

  it('are proved by whoever knows the token, to the cloud that they were made for, and to no other', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 8 }),
        fc.string({ minLength: 1, maxLength: 20 }),
        fc.boolean(),
        (known, asked, early) => {
          const issuer = hintsOf('east', [west, north]).hints;
          const asker = hintsOf('west', [east]).hints;
          const hint = asker.hintFor(asked, 'west', 'east');
          // The index is made at the first question, and kept up to date from then on.
          if (early) issuer.prove(hint, nonce, west);
          for (const token of known) issuer.learn({ token, expiresAt: later, auditId: undefined }, 'issued');
          const proof = issuer.prove(hint, nonce, west);
          expect(proof !== undefined).to.equal(known.includes(asked));
          if (proof) expect(asker.verifyProof(asked, nonce, proof, east)).to.equal(true);
          expect(issuer.prove(hint, nonce, north)).to.equal(undefined);
        },
      ),
    );
  });

  it('of tokens that were pushed out, or expired long ago, are not proved; those that end first go first', () => {
    const { hints, clock } = hintsOf('east', [west], 2);
    const proves = (token: string) => hints.prove(hints.hintFor(token, 'west', 'east'), nonce, west) !== undefined;
    for (const token of ['a', 'b']) hints.learn({ token, expiresAt: later, auditId: undefined }, 'issued');
    expect(['a', 'b'].map(proves)).to.deep.equal([true, true]);
    hints.learn({ token: 'c', expiresAt: later + 1, auditId: undefined }, 'issued');
    hints.learn({ token: 'd', expiresAt: later + 1, auditId: undefined }, 'issued');
    expect(['a', 'b', 'c', 'd'].map(proves)).to.deep.equal([false, false, true, true]);
    clock.advance(1001 + hintLimits.keepExpiredMs - 1);
    expect(proves('d'), 'expired').to.equal(true);
    expect(hints.isOwn('d')).to.equal(true);
    clock.advance(1);
    expect([proves('d'), hints.isOwn('d')]).to.deep.equal([false, false]);
    hints.learn({ token: 'e', expiresAt: testStart, auditId: undefined }, 'issued');
    expect(proves('e')).to.equal(false);
  });

  it('a partner that did not ask for a while is indexed anew', () => {
    const { hints, clock } = hintsOf('east', [west]);
    const far = testStart + 10 * hintLimits.askerMs;
    const proves = (token: string) => hints.prove(hints.hintFor(token, 'west', 'east'), nonce, west) !== undefined;
    hints.learn({ token: 'a', expiresAt: far, auditId: undefined }, 'issued');
    expect(proves('a')).to.equal(true);
    clock.advance(hintLimits.askerMs + 1);
    hints.learn({ token: 'b', expiresAt: far, auditId: undefined }, 'issued');
    expect(['a', 'b'].map(proves)).to.deep.equal([true, true]);
  });

  it('that were announced tell where to ask: all who announced it, while active, until it expires', () => {
    const partners = [{ ...east }, { ...north }];
    const { hints, clock } = hintsOf('west', partners, 2);
    const announce = (by: Partner, token: string) =>
      hints.announced(by, hints.hintFor(token, 'west', by.cloudId), later);
    const announcers = (token: string) => hints.whoAnnounced(token).map(({ cloudId }) => cloudId);
    announce(east, 'a');
    announce(north, 'a');
    expect(announcers('a')).to.deep.equal(['east', 'north']);
    expect(announcers('b')).to.deep.equal([]);
    // Another cloud's hint is no announcement of one's own.
    hints.announced(north, hints.hintFor('b', 'west', 'east'), later);
    expect(announcers('b')).to.deep.equal([]);
    hints.dropAnnouncement(north, 'b');
    expect(announcers('a')).to.deep.equal(['east', 'north']);
    Object.assign(partners[0]!, { state: 'suspended' });
    expect(announcers('a')).to.deep.equal(['north']);
    Object.assign(partners[0]!, { state: 'active' });
    for (const token of ['c', 'd']) announce(east, token);
    expect(announcers('a'), 'pushed out').to.deep.equal(['north']);
    clock.advance(1001);
    expect(announcers('c')).to.deep.equal([]);
  });
});
