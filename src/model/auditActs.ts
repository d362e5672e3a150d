/** Records of the model's own acts, each in the transaction of the act. */
import type { Transaction } from 'kysely';
import type { CloudId, PartnerUid } from '../core/ids.ts';
import type { AuditEntry } from './audit.ts';
import { appendAudit } from './auditChain.ts';
import type { Partner } from './partner.ts';
import type { Tables } from './tables.ts';
import type { TokenKeyState } from './tokenKey.ts';
import type { Side, TrustEvent } from './trust.ts';

type Trx = Transaction<Tables>;
type Act = Pick<AuditEntry, 'kind' | 'outcome'> & Partial<AuditEntry>;

const entryOf = (act: Act): AuditEntry => ({
  actor: 'operator',
  partner: null,
  subject: null,
  rule: null,
  requestId: null,
  details: {},
  ...act,
});

const actorOf = (by: Side): string => (by === 'us' ? 'operator' : 'partner');

/** The beginning of its id, by which operators know it; the whole id stays with those who were invited. */
const invitationSubject = (id: string): string => Buffer.from(id, 'base64url').toString('hex').slice(0, 12);

/** An invitation without what would let somebody else accept it. */
export const recordInvitation = (
  trx: Trx,
  outcome: 'invited' | 'cancelled',
  { id, ...details }: { id: string; role?: string; forCloudId?: CloudId | null; approve?: boolean },
  now: number,
): Promise<void> =>
  appendAudit(trx, entryOf({ kind: 'pairing', outcome, subject: invitationSubject(id), details }), now);

/** A partner that was stored, or whose acceptance came a second time. */
export const recordPairing = (
  trx: Trx,
  outcome: 'stored' | 'repeated',
  partner: Partner,
  { by, now }: { by: Side; now: number },
): Promise<void> => {
  const { cloudId, role, state, trustTill, endpoints, keys } = partner;
  const details = { role, state, trust_till: trustTill, endpoints };
  const subject = keys[0]!.fingerprint.toString('hex');
  const entry = entryOf({ kind: 'pairing', outcome, actor: actorOf(by), partner: cloudId, subject, details });
  return appendAudit(trx, entry, now);
};

const outcomes: Readonly<Record<TrustEvent, string>> = {
  approve: 'approved',
  suspend: 'suspended',
  resume: 'resumed',
  expire: 'expired',
  renew: 'renewed',
  revoke: 'revoked',
};

/** A change of the trust in a partner. */
export const recordTrust = (
  trx: Trx,
  act: TrustEvent | 'changed' | 'removed',
  { cloudId, state: from }: Pick<Partner, 'cloudId' | 'state'>,
  { by = 'us', now, ...details }: { by?: Side | undefined; now: number } & Record<string, unknown>,
): Promise<void> => {
  const outcome = act === 'changed' || act === 'removed' ? act : outcomes[act];
  const entry = entryOf({
    kind: 'trust',
    outcome,
    actor: actorOf(by),
    partner: cloudId,
    details: { from, ...details },
  });
  return appendAudit(trx, entry, now);
};

/** What time has ended. */
export async function recordExpiries(trx: Trx, cloudIds: readonly CloudId[], now: number): Promise<void> {
  for (const partner of cloudIds)
    await appendAudit(trx, entryOf({ kind: 'trust', outcome: 'expired', actor: 'broker', partner }), now);
}

/** A key of a partner's: announced by it, or now the only one that counts. */
export async function recordPartnerKey(
  trx: Trx,
  outcome: 'key_announced' | 'key_changed',
  uid: PartnerUid,
  now: number,
): Promise<void> {
  const state = outcome === 'key_announced' ? 'next' : 'current';
  const key = await trx
    .selectFrom('partner_keys')
    .innerJoin('partners', 'partners.uid', 'partner_keys.partner_uid')
    .select(['partners.cloud_id', 'partners.rotation_sequence', 'partner_keys.fingerprint'])
    .where('partner_uid', '=', uid)
    .where('partner_keys.state', '=', state)
    .executeTakeFirst();
  if (!key) return;
  const subject = key.fingerprint.toString('hex');
  const details = { sequence: key.rotation_sequence };
  const act = { kind: 'trust', outcome, actor: 'partner', partner: key.cloud_id, subject, details } as const;
  await appendAudit(trx, entryOf(act), now);
}

/** A key of a partner's JWS tokens. */
export async function recordTokenKey(
  trx: Trx,
  outcome: `token_key_${TokenKeyState | 'withdrawn'}`,
  key: { readonly partnerUid: PartnerUid; readonly thumbprint: Buffer },
  { by, now }: { by: Side; now: number },
): Promise<void> {
  const { cloud_id: partner } = await trx
    .selectFrom('partners')
    .select('cloud_id')
    .where('uid', '=', key.partnerUid)
    .executeTakeFirstOrThrow();
  const subject = key.thumbprint.toString('hex');
  await appendAudit(trx, entryOf({ kind: 'trust', outcome, actor: actorOf(by), partner, subject }), now);
}

/** Our own identity. */
export const recordIdentity = (
  trx: Trx,
  outcome: 'identity_made' | 'identity_rotated' | 'identity_retired',
  { fingerprint, ...details }: { fingerprint: Buffer; sequence?: number; overlapTill?: number | null },
  now: number,
): Promise<void> =>
  appendAudit(trx, entryOf({ kind: 'trust', outcome, subject: fingerprint.toString('hex'), details }), now);

/** Which handshake a session comes of. */
export interface HandshakeFacts {
  readonly attempt: string;
  readonly requestId?: string;
}

export const recordHandshake = (
  trx: Trx,
  { sid, direction }: { readonly sid: string; readonly direction: 'initiator' | 'responder' },
  { cloudId, attempt, requestId }: HandshakeFacts & { readonly cloudId: CloudId },
  now: number,
): Promise<void> => {
  const entry = handshakeEntry(direction, cloudId, { outcome: 'agreed', attempt, requestId });
  return appendAudit(trx, { ...entry, subject: sid }, now);
};

/** `outcome`: `agreed`, or the name of the error it was refused with. */
export const handshakeEntry = (
  direction: 'initiator' | 'responder',
  partner: CloudId,
  { outcome, attempt, requestId }: { outcome: string; attempt: string; requestId?: string | undefined },
): AuditEntry =>
  entryOf({
    kind: 'handshake',
    outcome,
    actor: direction === 'responder' ? 'partner' : 'broker',
    partner,
    requestId: requestId ?? null,
    details: { attempt, direction: direction === 'responder' ? 'in' : 'out' },
  });
