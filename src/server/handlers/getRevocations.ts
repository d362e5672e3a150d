/** This cloud's revocations, as a long poll. */
import { partnerConfig } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import { revocationLimits as limits } from '../../core/limits.ts';
import type { RevocationEvent } from '../../lproxy/keystoneRevocations.ts';
import { disguiseEvent, pseudonymsOf } from '../../token/revocation/pseudonyms.ts';
import { Revocation, RevocationPage, type RevocationQuery, toInt64, toNumber } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';

export const getRevocations: PartnerHandler<'getRevocations'> = async (context, query, { partner }) => {
  const { revocations, readers, notices, rates, clock, view, config } = context;
  const wanted = readQuery(query);
  const rate = { perS: limits.readsPerS, burst: limits.readsBurst };
  const retryAfterMs = rates.partners.take(`revocations:${partner.uid}`, rate, clock.now());
  if (retryAfterMs > 0) throw new AllianceError('rate_limited', { retryAfterMs });
  const { tellTokens } = partnerConfig(config(), partner.cloudId);
  notices.asked(partner, tellTokens && query.announce_tokens === true);
  const page = await readers.run(partner.uid, () => revocations.read(wanted));
  const pseudonyms = pseudonymsOf(partner.cloudId, view.cloudId);
  return new RevocationPage({
    revocations: page.revocations.map(({ sequence, event }) =>
      toRevocation(sequence, disguiseEvent(event, pseudonyms)),
    ),
    next_after: toInt64(page.next),
    head: toInt64(page.head),
    gap: page.gap,
    ...(page.ageMs !== null && { age_ms: toInt64(page.ageMs) }),
  });
};

function readQuery({ after, wait_ms: waitMs, limit }: RevocationQuery) {
  const checked = (field: string, value: number, least: number, most: number): number => {
    if (value < least || value > most)
      throw new AllianceError('bad_request', { field, details: `${field} is ${least} to ${most}.` });
    return value;
  };
  return {
    after: checked('after', toNumber(after), -1, Number.MAX_SAFE_INTEGER),
    waitMs: checked('wait_ms', waitMs, 0, limits.maxWaitMs),
    limit: checked('limit', limit, 1, limits.pageRows),
  };
}

function toRevocation(sequence: number, event: RevocationEvent): Revocation {
  const { auditId, auditChainId, userId, projectId, domainId, domainScopeId, roleId, trustId, expiresAt } = event;
  return new Revocation({
    sequence: toInt64(sequence),
    revoked_at: toInt64(event.revokedAt),
    issued_before: toInt64(event.issuedBefore),
    ...(auditId !== undefined && { audit_id: auditId }),
    ...(auditChainId !== undefined && { audit_chain_id: auditChainId }),
    ...(userId !== undefined && { user_id: userId }),
    ...(projectId !== undefined && { project_id: projectId }),
    ...(domainId !== undefined && { domain_id: domainId }),
    ...(domainScopeId !== undefined && { domain_scope_id: domainScopeId }),
    ...(roleId !== undefined && { role_id: roleId }),
    ...(trustId !== undefined && { trust_id: trustId }),
    ...(expiresAt !== undefined && { expires_at: toInt64(expiresAt) }),
  });
}
