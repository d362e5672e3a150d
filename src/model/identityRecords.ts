/** The stored history of our own certificates. */
import type { Kysely, Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import type { CloudId } from '../core/ids.ts';
import { identityLimits } from '../core/limits.ts';
import { recordIdentity } from './auditActs.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import type { Identities, IdentityRecord } from './identityRecord.ts';
import type { NewPartnerKey } from './partner.ts';
import { refuseKnownKey } from './partnerRows.ts';
import type { IdentityRow, Tables } from './tables.ts';

/** Newest first. */
export const listIdentities = async (reader: Kysely<Tables>): Promise<IdentityRecord[]> =>
  (await reader.selectFrom('identities').selectAll().orderBy('sequence', 'desc').execute()).map(toRecord);

export function createIdentities(db: Database, clock: Clock): Identities {
  const list = (trx: Kysely<Tables> = db.reader) => listIdentities(trx);

  return {
    current: async () => (await list()).find(({ state }) => state === 'current') ?? null,
    list: () => list(),

    init: (identity) =>
      db.write(async (trx) => {
        if ((await list(trx)).length > 0) throw new AllianceError('already_initialised');
        const record = await insert(trx, identity, { cloudId: identity.cloudId, sequence: 1, now: clock.now() });
        await recordIdentity(trx, 'identity_made', { fingerprint: record.fingerprint, sequence: 1 }, clock.now());
        return record;
      }),

    rotate: (identity, { overlapTill }) =>
      db.write(async (trx) => {
        const now = clock.now();
        const records = await list(trx);
        const former = records.find(({ state }) => state === 'current');
        if (!former) throw new AllianceError('not_initialised');
        await refuseKnownKey(trx, identity.fingerprint);
        if (overlapTill === null) await trx.deleteFrom('sessions').execute();
        else refuseOverlap(records, overlapTill, now);

        await trx
          .updateTable('identities')
          .set({ state: 'retired', overlap_till: null })
          .where('state', '=', 'overlap')
          .execute();
        await trx
          .updateTable('identities')
          .set({ state: overlapTill === null ? 'retired' : 'overlap', overlap_till: overlapTill })
          .where('fingerprint', '=', former.fingerprint)
          .execute();
        const sequence = former.sequence + 1;
        await recordIdentity(
          trx,
          'identity_rotated',
          { fingerprint: identity.fingerprint, sequence, overlapTill },
          now,
        );
        return insert(trx, identity, { cloudId: former.cloudId, sequence, now });
      }),

    retire: (fingerprint) =>
      db.write(async (trx) => {
        await retire(trx, clock.now(), (identities) => identities.where('fingerprint', '=', fingerprint));
      }),
  };
}

/** Former keys whose overlap has run out. */
export async function endOwnOverlap(trx: Transaction<Tables>, now: number): Promise<void> {
  await retire(trx, now, (identities) => identities.where('overlap_till', '<=', now));
}

const retirement = (trx: Transaction<Tables>) =>
  trx.updateTable('identities').set({ state: 'retired', overlap_till: null }).where('state', '=', 'overlap');

async function retire(
  trx: Transaction<Tables>,
  now: number,
  select: (identities: ReturnType<typeof retirement>) => ReturnType<typeof retirement>,
): Promise<void> {
  const retired = await select(retirement(trx)).returning('fingerprint').execute();
  if (retired.length > 0) await bumpTrustEpoch(trx);
  for (const { fingerprint } of retired) await recordIdentity(trx, 'identity_retired', { fingerprint }, now);
}

function refuseOverlap(records: readonly IdentityRecord[], overlapTill: number, now: number): void {
  if (records.some(({ state, overlapTill: till }) => state === 'overlap' && till !== null && till > now))
    throw new AllianceError('rotation_overlap');
  if (overlapTill <= now || overlapTill > now + identityLimits.overlapMs)
    throw new AllianceError('bad_request', { field: 'overlap_till', details: 'An overlap lasts at most 30 days.' });
}

async function insert(
  trx: Transaction<Tables>,
  identity: NewPartnerKey,
  { cloudId, sequence, now }: { cloudId: CloudId; sequence: number; now: number },
): Promise<IdentityRecord> {
  const row: IdentityRow = {
    fingerprint: identity.fingerprint,
    cloud_id: cloudId,
    algorithm: identity.algorithm,
    certificate_der: identity.certificateDer,
    state: 'current',
    not_before: identity.notBefore,
    not_after: identity.notAfter,
    sequence,
    overlap_till: null,
    created_at: now,
  };
  await trx.insertInto('identities').values(row).execute();
  await bumpTrustEpoch(trx);
  return toRecord(row);
}

const toRecord = (row: IdentityRow): IdentityRecord => ({
  cloudId: row.cloud_id,
  fingerprint: row.fingerprint,
  algorithm: row.algorithm,
  certificateDer: row.certificate_der,
  state: row.state,
  notBefore: row.not_before,
  notAfter: row.not_after,
  sequence: row.sequence,
  overlapTill: row.overlap_till,
  createdAt: row.created_at,
});
