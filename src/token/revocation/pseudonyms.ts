/**
 * Ids of Keystone as revocations tell them to partners (docs/protocol.md, section 9): a hash for each pair of clouds. A consumer follows all
 * revocations of an issuer, and shall find those that are about tokens it has met without learning whom else the others are about.
 */
import { lengthPrefixed, sha256 } from '../../crypto/bytes.ts';
import type { KeystoneToken } from '../../lproxy/keystoneBodies.ts';
import type { RevocationEvent } from '../../lproxy/keystoneRevocations.ts';

/** Half a hash is enough: an issuer that makes two ids alike revokes its own tokens, and nobody else's. */
const bytes = 16;

export type Pseudonyms = (id: string) => string;

/** `asker` is the cloud that reads revocations, `asked` the one whose they are. */
export function pseudonymsOf(asker: string, asked: string): Pseudonyms {
  const prefix = Buffer.concat([Buffer.from('alliance/1 revocation'), lengthPrefixed(asker), lengthPrefixed(asked)]);
  return (id) => sha256(prefix, id).toString('base64url', 0, bytes);
}

/** The event with pseudonyms for ids; times stay. */
export function disguiseEvent(event: RevocationEvent, pseudonyms: Pseudonyms): RevocationEvent {
  const disguised = Object.entries(event).map(([name, value]: [string, string | number]) => [
    name,
    typeof value === 'string' ? pseudonyms(value) : value,
  ]);
  return Object.fromEntries(disguised) as RevocationEvent;
}

/** The token with pseudonyms for those ids that a revocation can name. */
export function disguiseToken(token: KeystoneToken, pseudonyms: Pseudonyms): KeystoneToken {
  const orNull = (id: string | null): string | null => (id === null ? null : pseudonyms(id));
  const owner = ({ id, name, domain }: KeystoneToken['user']) => ({
    id: pseudonyms(id),
    name,
    domain: { id: orNull(domain.id), name: domain.name },
  });
  const { auditIds, user, project, domainId, trust, roles } = token;
  return {
    ...token,
    auditIds: auditIds.map(pseudonyms),
    user: owner(user),
    project: project && owner(project),
    domainId: orNull(domainId),
    trust: trust && {
      id: pseudonyms(trust.id),
      trustorId: pseudonyms(trust.trustorId),
      trusteeId: pseudonyms(trust.trusteeId),
    },
    roles: roles.map(({ id, name }) => ({ id: pseudonyms(id), name })),
  };
}
