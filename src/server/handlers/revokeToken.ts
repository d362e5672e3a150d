import { RevokeTokenResult } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { assertIssuedForm, keystoneOf } from './tokens.ts';

/** Ends a token at this cloud's Keystone, and tells partners at once instead of when Keystone lists it. */
export const revokeToken: PartnerHandler<'revokeToken'> = async (context, { token }, { partner }) => {
  const { clock, softTokens, revocations } = context;
  assertIssuedForm(token);
  const keystone = keystoneOf(context, partner);
  const answer = await keystone.validateToken(token, { catalog: false });
  const wasValid = answer.status === 'valid' && (await keystone.revokeToken(token));
  const revokedAt = clock.now();
  softTokens.learn(token, { status: 'invalid', checkedAt: revokedAt });
  if (answer.status !== 'valid') return new RevokeTokenResult({ was_valid: false });
  const { issuedAt, auditIds } = answer.token;
  const [auditId] = auditIds;
  // Keystone's clock may be ahead of ours, and the token's time is by Keystone's.
  const issuedBefore = Math.max(revokedAt, issuedAt ?? 0);
  if (auditId !== undefined) await revocations.append([{ revokedAt, issuedBefore, auditId }]);
  return new RevokeTokenResult({ was_valid: wasValid });
};
