import { IndeterminateReason, TokenStatus, TokenValidation, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { assertIssuedForm } from './tokens.ts';

/** From what Keystone said lately; Keystone itself is not asked. */
export const validateTokenSoft: PartnerHandler<'validateTokenSoft'> = ({ softTokens, clock }, { token }) => {
  assertIssuedForm(token);
  const known = softTokens.recall(token, clock.now());
  if (!known) return new TokenValidation({ status: TokenStatus.INDETERMINATE, reason: IndeterminateReason.NOT_KNOWN });
  const checkedAt = toInt64(known.checkedAt);
  return known.status === 'valid'
    ? new TokenValidation({
        status: TokenStatus.VALID,
        expires_at: toInt64(known.expiresAt),
        checked_at: checkedAt,
      })
    : new TokenValidation({ status: TokenStatus.INVALID, checked_at: checkedAt });
};
