/** A partner's tokens, typed: end one, follow revocations, claim, and what each side tells the other unasked. */
import type { CallOptions } from '../client/connection.ts';
import type { ClientPool } from '../client/pool.ts';
import { AllianceError } from '../core/errors.ts';
import { type RevocationEvent, withoutNothing } from '../lproxy/keystoneRevocations.ts';
import type { Partner } from '../model/partner.ts';
import {
  type Revocation,
  RevocationNotice,
  type RevocationPage,
  RevocationQuery,
  RevokeTokenRequest,
  TokenAnnouncement,
  TokenClaimRequest,
  toInt64,
  toNumber,
} from '../wire/types.ts';

/** Ends a token of the partner's. True when it was valid until now. */
export async function revokeToken(
  pool: ClientPool,
  partner: Partner,
  token: string,
  options: CallOptions = {},
): Promise<boolean> {
  return (await pool.call(partner, 'revokeToken', new RevokeTokenRequest({ token }), options)).was_valid;
}

/** What may prove that the partner knows the token of this hint; `not_ours`: it is none of its own; `unsure`: it cannot know that. */
export async function claimToken(
  pool: ClientPool,
  partner: Partner,
  { hint, nonce }: { readonly hint: Buffer; readonly nonce: Buffer },
  options: CallOptions = {},
): Promise<Buffer | 'not_ours' | 'unsure'> {
  const claim = await pool.call(partner, 'claimToken', new TokenClaimRequest({ hint, nonce }), options);
  return claim.proof ?? (claim.not_ours ? 'not_ours' : 'unsure');
}

export interface RemoteRevocation {
  readonly sequence: number;
  /** With pseudonyms for ids; null: it cannot be read, so that nobody knows which tokens it is about. */
  readonly event: RevocationEvent | null;
}

export interface RemotePage {
  /** In their order. */
  readonly revocations: readonly RemoteRevocation[];
  readonly next: number;
  readonly head: number;
  readonly gap: boolean;
  /** Since the partner asked its Keystone; null: not yet. */
  readonly ageMs: number | null;
}

export interface RevocationsQuery {
  /** Sequence of the last one known; 0: from the oldest kept; -1: only where they end. */
  readonly after: number;
  readonly waitMs: number;
  readonly limit: number;
  readonly announceTokens: boolean;
}

/** @throws also wire_malformed for a page that goes back, repeats, leaps beyond its end or is larger than asked for */
export async function readRevocations(
  pool: ClientPool,
  partner: Partner,
  { after, waitMs, limit, announceTokens }: RevocationsQuery,
  options: CallOptions = {},
): Promise<RemotePage> {
  const request = new RevocationQuery({
    after: toInt64(after),
    wait_ms: waitMs,
    limit,
    ...(announceTokens && { announce_tokens: true }),
  });
  return readPage(await pool.call(partner, 'getRevocations', request, options), after, limit);
}

const malformed = (details: string): AllianceError => new AllianceError('wire_malformed', { details });

function readPage(page: RevocationPage, after: number, limit: number): RemotePage {
  const next = toNumber(page.next_after);
  const head = toNumber(page.head);
  const ageMs = page.age_ms ? toNumber(page.age_ms) : null;
  const revocations = page.revocations.map(readRevocation);
  let last = Math.max(0, after);
  if (revocations.length > (after < 0 ? 0 : limit)) throw malformed('More revocations than were asked for.');
  for (const { sequence } of revocations) {
    if (sequence <= last) throw malformed('Revocations are not in their order.');
    last = sequence;
  }
  // After a gap the count may have begun again.
  if (page.gap ? after <= 0 : next < last) throw malformed('The page goes back.');
  if (head < 0 || next < 0 || next > head) throw malformed('The page leads beyond its end.');
  if (ageMs !== null && ageMs < 0) throw malformed('The page is from the future.');
  return { revocations, next, head, gap: page.gap, ageMs };
}

/** A pseudonym of an id, see docs/protocol.md. */
const pseudonymForm = /^[\w-]{22}$/;

/** @throws only where the place in the list cannot be read: one event that cannot must not keep those behind it from being known */
function readRevocation(revocation: Revocation): RemoteRevocation {
  const sequence = toNumber(revocation.sequence);
  try {
    return { sequence, event: readEvent(revocation) };
  } catch {
    return { sequence, event: null };
  }
}

function readEvent(revocation: Revocation): RevocationEvent {
  const id = (text: string | undefined): string | undefined => {
    if (text !== undefined && !pseudonymForm.test(text)) throw malformed('No pseudonym of an id.');
    return text;
  };
  return withoutNothing({
    revokedAt: toNumber(revocation.revoked_at),
    issuedBefore: toNumber(revocation.issued_before),
    auditId: id(revocation.audit_id),
    auditChainId: id(revocation.audit_chain_id),
    userId: id(revocation.user_id),
    projectId: id(revocation.project_id),
    domainId: id(revocation.domain_id),
    domainScopeId: id(revocation.domain_scope_id),
    roleId: id(revocation.role_id),
    trustId: id(revocation.trust_id),
    expiresAt: revocation.expires_at ? toNumber(revocation.expires_at) : undefined,
  });
}

/** Tells a consumer that there are new revocations. Nobody answers. */
export const popToken = (pool: ClientPool, partner: Partner, head: number): Promise<undefined> =>
  pool.call(partner, 'popToken', new RevocationNotice({ head: toInt64(head) }));

/** Tells a consumer of a fresh token. Nobody answers. */
export const pushToken = (pool: ClientPool, partner: Partner, hint: Buffer, expiresAt: number): Promise<undefined> =>
  pool.call(partner, 'pushToken', new TokenAnnouncement({ hint, expires_at: toInt64(expiresAt) }));
