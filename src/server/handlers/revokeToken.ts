import type { AuditEntry } from '../../model/audit.ts';
import { RevokeTokenResult } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { keystoneOf, mayBeIssued } from './tokens.ts';

/** Ends a token at this cloud's Keystone, and tells partners at once instead of when Keystone lists it. */
export const revokeToken: PartnerHandler<'revokeToken'> = async (context, { token }, { partner, requestId }) => {
  const { clock, softTokens, revocations, store } = context;
  if (!mayBeIssued(token)) return new RevokeTokenResult({ was_valid: false });
  const keystone = keystoneOf(context, partner);
  const answer = await keystone.validateToken(token, { catalog: false });
  if (answer.status !== 'valid') {
    softTokens.learn(token, { status: 'invalid', checkedAt: answer.askedAt });
    return new RevokeTokenResult({ was_valid: false });
  }
  const { issuedAt, auditIds, user } = answer.token;
  const [auditId] = auditIds;
  const entry = (outcome: string): AuditEntry => ({
    kind: 'revocation',
    actor: 'partner',
    partner: partner.cloudId,
    subject: user.id,
    outcome,
    rule: null,
    requestId,
    details: { audit_id: auditId ?? null },
  });
  await store.audit.append(entry('requested'));
  const wasValid = await keystone.revokeToken(token).catch(async (error: unknown) => {
    await store.audit.append(entry('undecided'));
    throw error;
  });
  const revokedAt = clock.now();
  softTokens.learn(token, { status: 'invalid', checkedAt: revokedAt });
  // Keystone's clock may be ahead of ours, and the token's time is by Keystone's.
  const issuedBefore = Math.max(revokedAt, issuedAt ?? 0);
  if (auditId !== undefined) await revocations.append([{ revokedAt, issuedBefore, auditId }]);
  await store.audit.append(entry(wasValid ? 'revoked' : 'invalid'));
  return new RevokeTokenResult({ was_valid: wasValid });
};
