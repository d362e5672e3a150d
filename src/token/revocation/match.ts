/**
 * Whether a revocation is about a token, as Keystone's revoke_model reads it: what the event does not name is not asked for.
 * Where Keystone's releases differ this takes the wider reading (the domain of a token's project counts as its domain, and the only audit
 * id of a token as the last one), so that nothing is let through that one of them refuses.
 */
import type { KeystoneToken } from '../../lproxy/keystoneBodies.ts';
import type { RevocationEvent } from '../../lproxy/keystoneRevocations.ts';

/** Keystone stores these times by the second. */
const second = (ms: number): number => Math.floor(ms / 1000);

const named = (wanted: string | undefined, ...held: (string | null | undefined)[]): boolean =>
  wanted === undefined || held.includes(wanted);

export const usersOf = ({ user, trust }: KeystoneToken): string[] =>
  trust ? [user.id, trust.trustorId, trust.trusteeId] : [user.id];

export const scopeDomainOf = ({ domainId, project }: KeystoneToken): string | null =>
  domainId ?? project?.domain.id ?? null;

/** Pure. A token that does not tell when it was issued counts as issued before every event. */
export function matches(event: RevocationEvent, token: KeystoneToken): boolean {
  return (
    (token.issuedAt === null || token.issuedAt <= event.issuedBefore) &&
    named(event.auditId, token.auditIds[0]) &&
    named(event.auditChainId, token.auditIds.at(-1)) &&
    named(event.userId, ...usersOf(token)) &&
    named(event.projectId, token.project?.id) &&
    named(event.trustId, token.trust?.id) &&
    named(event.domainId, token.user.domain.id, scopeDomainOf(token)) &&
    named(event.domainScopeId, scopeDomainOf(token)) &&
    (event.roleId === undefined || token.roles.some((role) => role.id === event.roleId)) &&
    (event.expiresAt === undefined || second(event.expiresAt) === second(token.expiresAt))
  );
}
