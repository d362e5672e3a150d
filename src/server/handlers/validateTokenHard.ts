import { TokenStatus, TokenValidation, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { indeterminateReason, keystoneOf, mayBeIssued } from './tokens.ts';

/** Keystone is asked now; its silence is INDETERMINATE, never INVALID. */
export const validateTokenHard: PartnerHandler<'validateTokenHard'> = async (context, request, { partner }) => {
  const { clock, softTokens, hints, revocations } = context;
  const { token } = request;
  const allowExpired = request.allow_expired === true;
  const invalid = (checkedAt: number): TokenValidation =>
    new TokenValidation({
      status: TokenStatus.INVALID,
      checked_at: toInt64(checkedAt),
      revocation_head: toInt64(revocations.head),
    });
  const startedAt = clock.now();
  if (!mayBeIssued(token)) return invalid(startedAt);
  try {
    // The catalog names internal endpoints; what partners may see of it is what getEndpoints exports.
    const answer = await keystoneOf(context, partner).validateToken(token, { catalog: false, allowExpired });
    const checkedAt = answer.askedAt;
    if (answer.status === 'invalid') {
      softTokens.learn(token, { status: 'invalid', checkedAt });
      return invalid(checkedAt);
    }
    softTokens.learn(token, { status: 'valid', expiresAt: answer.expiresAt, checkedAt, facts: answer.token });
    hints.learn({ token, expiresAt: answer.expiresAt, auditId: answer.token.auditIds[0] }, 'seen');
    return new TokenValidation({
      status: TokenStatus.VALID,
      expires_at: toInt64(answer.expiresAt),
      checked_at: toInt64(checkedAt),
      body: answer.body,
      revocation_head: toInt64(revocations.head),
    });
  } catch (thrown) {
    const reason = indeterminateReason(context, thrown);
    if (reason === undefined) throw thrown;
    return new TokenValidation({
      status: TokenStatus.INDETERMINATE,
      reason,
      checked_at: toInt64(startedAt),
      revocation_head: toInt64(revocations.head),
    });
  }
};
