import { AllianceError } from '../../core/errors.ts';
import { hintLimits } from '../../core/limits.ts';
import { TokenClaim } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { assertHintBytes } from './tokens.ts';

/**
 * Proves that a token is this cloud's, to one who can name its hint: whoever cannot has learned nothing. That it is none is said only
 * while that is known, or whoever else has met the token could pass for its issuer.
 */
export const claimToken: PartnerHandler<'claimToken'> = async (context, { hint, nonce }, { partner }) => {
  const { hints, rates, clock } = context;
  assertHintBytes(hint, 'hint');
  assertHintBytes(nonce, 'nonce');
  const rate = { perS: hintLimits.claimsPerS, burst: hintLimits.claimsBurst };
  const retryAfterMs = rates.partners.take(`claims:${partner.uid}`, rate, clock.now());
  if (retryAfterMs > 0) throw new AllianceError('rate_limited', { retryAfterMs });
  const proof = hints.prove(hint, nonce, partner);
  return new TokenClaim(proof ? { proof } : hints.knowsAll ? { not_ours: true } : {});
};
