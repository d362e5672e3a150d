import { TokenStatus, TokenValidation, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { assertIssuedForm, indeterminateReason, keystoneOf } from './tokens.ts';

/** Keystone is asked now; its silence is INDETERMINATE, never INVALID. */
export const validateTokenHard: PartnerHandler<'validateTokenHard'> = async (context, { token }, { partner }) => {
  const { clock, softTokens } = context;
  assertIssuedForm(token);
  const startedAt = clock.now();
  try {
    // The catalog names internal endpoints; what partners may see of it is what getEndpoints exports.
    const answer = await keystoneOf(context, partner).validateToken(token, { catalog: false });
    const checkedAt = answer.askedAt;
    if (answer.status === 'invalid') {
      softTokens.learn(token, { status: 'invalid', checkedAt });
      return new TokenValidation({ status: TokenStatus.INVALID, checked_at: toInt64(checkedAt) });
    }
    softTokens.learn(token, { status: 'valid', expiresAt: answer.expiresAt, checkedAt });
    return new TokenValidation({
      status: TokenStatus.VALID,
      expires_at: toInt64(answer.expiresAt),
      checked_at: toInt64(checkedAt),
      body: answer.body,
    });
  } catch (thrown) {
    const reason = indeterminateReason(context, thrown);
    if (reason === undefined) throw thrown;
    return new TokenValidation({
      status: TokenStatus.INDETERMINATE,
      reason,
      checked_at: toInt64(startedAt),
    });
  }
};
