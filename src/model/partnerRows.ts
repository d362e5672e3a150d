/** Partners between rows and objects, and the rules about who may be added; for use within a transaction of others. */
import type { Kysely, Transaction } from 'kysely';
import { AllianceError } from '../core/errors.ts';
import { newPartnerUid, type PartnerUid, parseCloudId, parsePartnerName } from '../core/ids.ts';
import { pairingLimits } from '../core/limits.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { NewPartner, NewPartnerKey, Partner, PartnerKey } from './partner.ts';
import type { PartnerKeyRow, PartnerRow, Tables } from './tables.ts';
import { checkTrustTill } from './trust.ts';

const keyOrder: Readonly<Record<PartnerKey['state'], number>> = { current: 0, next: 1, retired: 2 };

/** With their keys, in two queries however many they are. */
export async function withKeys(db: Kysely<Tables>, rows: readonly PartnerRow[]): Promise<Partner[]> {
  if (rows.length === 0) return [];
  const all = db.selectFrom('partner_keys').selectAll().orderBy('created_at', 'desc');
  const keyRows = await (rows.length === 1 ? all.where('partner_uid', '=', rows[0]!.uid) : all).execute();
  const keysOf = new Map<PartnerUid, PartnerKey[]>(rows.map((row) => [row.uid, []]));
  for (const row of keyRows) keysOf.get(row.partner_uid)?.push(toKey(row));
  return rows.map((row) => toPartner(row, keysOf.get(row.uid)!));
}

export async function loadPartner(db: Kysely<Tables>, uid: PartnerUid): Promise<Partner> {
  const rows = await db.selectFrom('partners').selectAll().where('uid', '=', uid).execute();
  const [partner] = await withKeys(db, rows);
  if (!partner) throw new AllianceError('partner_not_found', { details: `uid ${uid}` });
  return partner;
}

/** Throws identity_known, with `field` cloud_id, name or certificate, and bad_request. */
export async function insertPartner(trx: Transaction<Tables>, partner: NewPartner, now: number): Promise<PartnerUid> {
  const cloudId = parseCloudId(partner.cloudId);
  const name = partner.name ? parsePartnerName(partner.name) : cloudId;
  const { key } = partner;
  checkTrustTill(partner.trustTill ?? null);
  await refuseKnownNames(trx, { cloud_id: cloudId, name });
  await refuseBoundKey(trx, partner);
  // A removed one that was not told yet makes room: it is being told right now.
  await trx.deleteFrom('partners').where('cloud_id', '=', cloudId).where('removed', '=', 1).execute();
  await refuseKnownKey(trx, key.fingerprint);

  const uid = newPartnerUid();
  await trx
    .insertInto('partners')
    .values({
      uid,
      cloud_id: cloudId,
      name,
      role: partner.role,
      state: partner.state,
      approval: partner.state === 'pending' ? (partner.approval ?? 'us') : null,
      trust_since: now,
      trust_till: partner.trustTill ?? null,
      endpoints: endpointsText(partner.endpoints),
      binding: partner.binding,
      code: partner.state === 'pending' ? (partner.code ?? null) : null,
      rotation_sequence: 0,
      bundle_sequence: 0,
      acknowledged_sequence: partner.acknowledgedSequence ?? (await ownSequence(trx)),
      revoked_by: null,
      removed: 0,
      notice_pending: null,
      continuity_granted_till: null,
      last_contact: null,
      last_error: null,
      created_at: now,
      updated_at: now,
    })
    .execute();
  await insertKey(trx, uid, key, { state: 'current', now });
  await bumpTrustEpoch(trx);
  return uid;
}

export async function insertKey(
  trx: Transaction<Tables>,
  uid: PartnerUid,
  key: NewPartnerKey,
  { state, now }: { state: PartnerKey['state']; now: number },
): Promise<void> {
  await trx
    .insertInto('partner_keys')
    .values({
      fingerprint: key.fingerprint,
      partner_uid: uid,
      algorithm: key.algorithm,
      certificate_der: key.certificateDer,
      state,
      not_before: key.notBefore,
      not_after: key.notAfter,
      overlap_till: null,
      created_at: now,
    })
    .execute();
}

/** Names and cloud_ids of partners share one namespace, as either may stand for a partner; our own cloud_id is in it, too. */
export async function refuseKnownNames(
  db: Kysely<Tables>,
  words: { cloud_id?: string; name?: string },
  except?: PartnerUid,
): Promise<void> {
  for (const [field, word] of Object.entries(words)) {
    const own = await db
      .selectFrom('identities')
      .select('sequence')
      .where('cloud_id', '=', word as never)
      .executeTakeFirst();
    const other = await db
      .selectFrom('partners')
      .select('uid')
      .where('removed', '=', 0)
      .where((eb) => eb.or([eb('cloud_id', '=', word as never), eb('name', '=', word)]))
      .where('uid', '!=', except ?? ('' as PartnerUid))
      .executeTakeFirst();
    if (own || other) throw known(field, `${word} is ${own ? 'this cloud' : 'a partner already'}.`);
  }
}

/** A key is one partner's, once and for all, and never also ours. */
export async function refuseKnownKey(db: Kysely<Tables>, fingerprint: Buffer): Promise<void> {
  const own = await db
    .selectFrom('identities')
    .select('sequence')
    .where('fingerprint', '=', fingerprint)
    .executeTakeFirst();
  if (own) throw known('certificate', 'The key is our own.');
  const other = await db
    .selectFrom('partner_keys')
    .select('state')
    .where('fingerprint', '=', fingerprint)
    .executeTakeFirst();
  if (other) throw known('certificate', "The key is a partner's already.");
}

/** A removed cloud_id comes back with the key it had, or by an operator's explicit wish; a removed key only with its cloud_id. */
async function refuseBoundKey(trx: Transaction<Tables>, { cloudId, key, replaceIdentity }: NewPartner): Promise<void> {
  const bound = await trx
    .selectFrom('tombstones')
    .selectAll()
    .where((eb) => eb.or([eb('cloud_id', '=', cloudId), eb('fingerprint', '=', key.fingerprint)]))
    .execute();
  const same = bound.find(({ fingerprint }) => fingerprint.equals(key.fingerprint));
  if (same && same.cloud_id !== cloudId) throw known('certificate', 'The key belonged to another cloud_id.');
  if (same && same.usable === 0) throw known('certificate', 'The key was retired.');
  if (same || bound.length === 0) return;
  if (!replaceIdentity) throw known('certificate', `${cloudId} was known with another key (--replace-identity).`);
  await trx.updateTable('tombstones').set({ usable: 0 }).where('cloud_id', '=', cloudId).execute();
}

const known = (field: string, details: string): AllianceError =>
  new AllianceError('identity_known', { field, details });

async function ownSequence(trx: Transaction<Tables>): Promise<number> {
  const row = await trx.selectFrom('identities').select('sequence').where('state', '=', 'current').executeTakeFirst();
  return row?.sequence ?? 0;
}

/** Endpoints for their column; the bound is the last guard, their form is checked where they come in. */
export function endpointsText(endpoints: readonly string[]): string {
  const fits =
    endpoints.length <= pairingLimits.endpoints && endpoints.every((e) => e.length <= pairingLimits.endpointBytes);
  if (!fits) throw new AllianceError('bad_request', { field: 'endpoints', details: 'Too many or too long endpoints.' });
  return JSON.stringify(endpoints);
}

function toKey(row: PartnerKeyRow): PartnerKey {
  return {
    fingerprint: row.fingerprint,
    algorithm: row.algorithm,
    certificateDer: row.certificate_der,
    state: row.state,
    notBefore: row.not_before,
    notAfter: row.not_after,
    overlapTill: row.overlap_till,
  };
}

function toPartner(row: PartnerRow, keys: PartnerKey[]): Partner {
  return {
    uid: row.uid,
    cloudId: row.cloud_id,
    name: row.name,
    role: row.role,
    state: row.state,
    approval: row.approval,
    trustSince: row.trust_since,
    trustTill: row.trust_till,
    endpoints: JSON.parse(row.endpoints) as string[],
    keys: keys.sort((a, b) => keyOrder[a.state] - keyOrder[b.state]),
    binding: row.binding,
    code: row.code,
    rotationSequence: row.rotation_sequence,
    bundleSequence: row.bundle_sequence,
    acknowledgedSequence: row.acknowledged_sequence,
    revokedBy: row.revoked_by,
    removed: row.removed === 1,
    noticePending: row.notice_pending,
    continuityGrantedTill: row.continuity_granted_till,
    lastContact: row.last_contact,
    lastError: row.last_error === null ? null : (JSON.parse(row.last_error) as Partner['lastError']),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
