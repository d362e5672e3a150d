import { IndeterminateReason, TokenStatus, TokenValidation, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { mayBeIssued } from './tokens.ts';

/** From what Keystone said lately; Keystone itself is not asked. */
export const validateTokenSoft: PartnerHandler<'validateTokenSoft'> = (context, { token }) => {
  const { clock, softTokens, revocations } = context;
  const known = mayBeIssued(token)
    ? softTokens.recall(token)
    : ({ status: 'invalid', checkedAt: clock.now() } as const);
  const revocation_head = toInt64(revocations.head);
  if (!known)
    return new TokenValidation({
      status: TokenStatus.INDETERMINATE,
      reason: IndeterminateReason.NOT_KNOWN,
      revocation_head,
    });
  const checkedAt = toInt64(known.checkedAt);
  return known.status === 'valid'
    ? new TokenValidation({
        status: TokenStatus.VALID,
        expires_at: toInt64(known.expiresAt),
        checked_at: checkedAt,
        revocation_head,
      })
    : new TokenValidation({ status: TokenStatus.INVALID, checked_at: checkedAt, revocation_head });
};
