import { TrustEnd } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';

/** The caller has revoked or removed us; we revoke it in turn, and need not tell it. */
export const endTrust: PartnerHandler<'endTrust'> = async ({ store, log }, reason, { partner, peer }) => {
  await store.partners.apply(partner.uid, 'revoke', { by: 'partner', notify: false });
  // The channel ends with the reply; a look at the trust epoch right now would end it before.
  peer.endAfterReply();
  const how = reason === TrustEnd.REMOVED ? 'removed' : 'revoked';
  log.warn({ partner: partner.cloudId, how }, 'A partner ended the trust.');
};
