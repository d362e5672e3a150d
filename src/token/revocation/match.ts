/**
 * Whether a revocation is about a token, as Keystone's revoke_model reads it: what the event does not name is not asked for.
 * Where Keystone's releases differ this takes the wider reading (the domain of a token's project counts as its domain, and the only audit
 * id of a token as the last one), so that nothing is let through that one of them refuses.
 */
import type { KeystoneToken } from '../../lproxy/keystoneBodies.ts';
import type { RevocationEvent } from '../../lproxy/keystoneRevocations.ts';

/** Keystone stores these times by the second. */
const second = (ms: number): number => Math.floor(ms / 1000);

export const usersOf = ({ user, trust }: KeystoneToken): string[] =>
  trust ? [user.id, trust.trustorId, trust.trusteeId] : [user.id];

export const scopeDomainOf = ({ domainId, project }: KeystoneToken): string | null =>
  domainId ?? project?.domain.id ?? null;

const roleSets = new WeakMap<KeystoneToken['roles'], ReadonlySet<string>>();

/** Ids; made once for as long as the token is remembered. */
export function roleIdsOf({ roles }: KeystoneToken): ReadonlySet<string> {
  const known = roleSets.get(roles);
  if (known) return known;
  const made = new Set(roles.map(({ id }) => id));
  roleSets.set(roles, made);
  return made;
}

/** Pure. A token that does not tell when it was issued counts as issued before every event. */
export function matches(event: RevocationEvent, token: KeystoneToken): boolean {
  const { auditId, auditChainId, userId, projectId, trustId, domainId, domainScopeId, roleId, expiresAt } = event;
  return (
    (token.issuedAt === null || token.issuedAt <= event.issuedBefore) &&
    (expiresAt === undefined || second(expiresAt) === second(token.expiresAt)) &&
    (auditId === undefined || auditId === token.auditIds[0]) &&
    (auditChainId === undefined || auditChainId === token.auditIds.at(-1)) &&
    (userId === undefined || usersOf(token).includes(userId)) &&
    (projectId === undefined || projectId === token.project?.id) &&
    (trustId === undefined || trustId === token.trust?.id) &&
    (domainId === undefined || domainId === token.user.domain.id || domainId === scopeDomainOf(token)) &&
    (domainScopeId === undefined || domainScopeId === scopeDomainOf(token)) &&
    (roleId === undefined || roleIdsOf(token).has(roleId))
  );
}
