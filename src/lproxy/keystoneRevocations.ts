/** Keystone's OS-REVOKE API: its list of events, as far as they concern tokens that another cloud can see. */
import { z } from 'zod';
import { parseBody, parseJson, time } from './keystoneBodies.ts';

/** Every token that agrees with all members that are set is revoked. Times are UTC epoch milliseconds. */
export interface RevocationEvent {
  readonly revokedAt: number;
  /** Tokens issued at this time or earlier. */
  readonly issuedBefore: number;
  /** First of the token's audit ids. */
  readonly auditId?: string;
  /** Last of them. */
  readonly auditChainId?: string;
  readonly userId?: string;
  readonly projectId?: string;
  /** Of the user, or of what the token is scoped to. */
  readonly domainId?: string;
  readonly domainScopeId?: string;
  readonly roleId?: string;
  readonly trustId?: string;
  /** Tokens that expire within this second. */
  readonly expiresAt?: number;
}

/** Names of the members that say which tokens are meant. */
export const criteria = [
  ...['auditId', 'auditChainId', 'trustId', 'userId', 'projectId', 'roleId', 'domainScopeId', 'domainId'],
  'expiresAt',
] as const satisfies readonly (keyof RevocationEvent)[];

/** Any text, for it is compared and nothing else: one that is no token's must not keep the others from being told. */
const id = z.string().nullish();

const row = z
  .object({
    revoked_at: time.nullish(),
    issued_before: time,
    audit_id: id,
    audit_chain_id: id,
    user_id: id,
    project_id: id,
    domain_id: id,
    domain_scope_id: id,
    role_id: id,
    'OS-TRUST:trust_id': id,
    'OS-OAUTH1:consumer_id': id,
    'OS-OAUTH1:access_token_id': id,
    expires_at: time.nullish(),
  })
  .transform((event): RevocationEvent | null => {
    const found = withoutNothing({
      revokedAt: event.revoked_at ?? event.issued_before,
      issuedBefore: event.issued_before,
      auditId: event.audit_id,
      auditChainId: event.audit_chain_id,
      userId: event.user_id,
      projectId: event.project_id,
      domainId: event.domain_id,
      domainScopeId: event.domain_scope_id,
      roleId: event.role_id,
      trustId: event['OS-TRUST:trust_id'],
      expiresAt: event.expires_at,
    });
    // Tokens of OAuth are no other cloud's business, and without that member the event would be about every token.
    const ofOauth = event['OS-OAUTH1:consumer_id'] ?? event['OS-OAUTH1:access_token_id'];
    return ofOauth && !criteria.some((name) => found[name] !== undefined) ? null : found;
  });

/** Leaves out what is null or undefined. */
export function withoutNothing(
  values: {
    readonly [Name in keyof RevocationEvent]: RevocationEvent[Name] | null | undefined;
  },
): RevocationEvent {
  const set = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(set) as unknown as RevocationEvent;
}

const eventsBody = z.object({ events: z.array(row) });

/** @throws AllianceError keystone_malformed */
export const parseEvents = (text: string): RevocationEvent[] =>
  parseBody(eventsBody, parseJson(text)).events.filter((event) => event !== null);
