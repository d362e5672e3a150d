/** What a cloud says of a token that it does not know as its own: no, only where it knows all. */
import { expect } from 'chai';
import type { CloudId, PartnerUid } from '../../../src/core/ids.ts';
import { Rates } from '../../../src/core/rates.ts';
import type { Partner } from '../../../src/model/partner.ts';
import type { ServerContext } from '../../../src/server/context.ts';
import { claimToken } from '../../../src/server/handlers/claimToken.ts';
import { Hints } from '../../../src/token/hints.ts';
import { OwnTokens } from '../../../src/token/ownTokens.ts';
import { TokenClaimRequest } from '../../../src/wire/types.ts';
import { createTestClock } from '../../support/store.ts';

describe('server/handlers/claimToken', () => {
  const partner = { uid: 'uid-west' as PartnerUid, cloudId: 'west' as CloudId, role: 'both' } as Partner;
  const clock = createTestClock();
  const view = { cloudId: 'east' as CloudId, partnerByUid: () => partner, stateOf: () => 'active' as const };

  for (const [what, allHere, said] of [
    ['where it knows all', true, { not_ours: true }],
    ['where it may not know all', false, {}],
  ] as const)
    it(`${what}: ${JSON.stringify(said)}, and a proof of what it knows`, async () => {
      const hints = new Hints({ view, clock, own: new OwnTokens({ clock, allHere: () => allHere }) });
      hints.learn({ token: 'known', expiresAt: clock.now() + 1000, auditId: undefined }, 'issued');
      const context = { hints, clock, rates: { partners: new Rates(10) } } as unknown as ServerContext;
      const claim = async (token: string) => {
        const request = new TokenClaimRequest({ hint: hints.hintFor(token, 'west', 'east'), nonce: Buffer.alloc(32) });
        const { proof, not_ours } = await claimToken(context, request, { partner } as never);
        return { ...(proof && { proof: proof.length }), ...(not_ours && { not_ours }) };
      };
      expect(await claim('known')).to.deep.equal({ proof: 32 });
      expect(await claim('stranger')).to.deep.equal(said);
    });
});
