/** The pinned keys of partners, and how they change by rotation. */
import type { Kysely, Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { identityLimits, sessionLimits } from '../core/limits.ts';
import { recordPartnerKey } from './auditActs.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import { type KeyRotation, type Partner, type Partners, usableKeys } from './partner.ts';
import { insertKey, loadPartner, refuseKnownKey, withKeys } from './partnerRows.ts';
import type { Tables } from './tables.ts';

export function createPartnerKeys(
  db: Database,
  clock: Clock,
): Pick<Partners, 'findByFingerprint' | 'rotateKeys' | 'retireOldKey'> {
  return {
    findByFingerprint: async (fingerprint) => {
      const rows = await db.reader
        .selectFrom('partners')
        .innerJoin('partner_keys', 'partner_keys.partner_uid', 'partners.uid')
        .selectAll('partners')
        .where('partner_keys.fingerprint', '=', fingerprint)
        .where('partners.removed', '=', 0)
        .execute();
      return (await withKeys(db.reader, rows))[0] ?? null;
    },

    rotateKeys: (uid, rotation) =>
      db.write(async (trx) => {
        const now = clock.now();
        await endOverlaps(trx, now, uid);
        const partner = await loadPartner(trx, uid);
        if (isRepeat(partner, rotation)) return partner;
        await admit(trx, partner, rotation, now);

        await trx
          .updateTable('partner_keys')
          .set({ overlap_till: rotation.overlapTill })
          .where('partner_uid', '=', uid)
          .where('state', '=', 'current')
          .execute();
        await insertKey(trx, uid, rotation.key, { state: 'next', now });
        await trx
          .updateTable('partners')
          .set({ rotation_sequence: rotation.sequence, updated_at: now })
          .where('uid', '=', uid)
          .execute();
        await recordPartnerKey(trx, 'key_announced', uid, now);
        await bumpTrustEpoch(trx);
        return loadPartner(trx, uid);
      }),

    retireOldKey: async (uid, usedFingerprint) => {
      const isNext = async (reader: Kysely<Tables>): Promise<boolean> => {
        const key = await reader
          .selectFrom('partner_keys')
          .select('state')
          .where('fingerprint', '=', usedFingerprint)
          .where('partner_uid', '=', uid)
          .where('state', '=', 'next')
          .executeTakeFirst();
        return key !== undefined;
      };
      // Most calls find no rotation, and need no lock.
      if (!(await isNext(db.reader))) return false;
      return db.write(async (trx) => {
        if (!(await isNext(trx))) return false;
        await promoteNext(trx, uid, clock.now());
        await bumpTrustEpoch(trx);
        return true;
      });
    },
  };
}

/** Rotations whose overlap has run out: the old key dies, used or not. Returns how many there were. */
export async function endOverlaps(trx: Transaction<Tables>, now: number, uid?: PartnerUid): Promise<number> {
  const over = trx
    .selectFrom('partner_keys')
    .select('partner_uid')
    .where('state', '=', 'current')
    .where('overlap_till', '<=', now);
  const rows = await (uid === undefined ? over : over.where('partner_uid', '=', uid)).execute();
  for (const row of rows) {
    await promoteNext(trx, row.partner_uid, now);
    await bumpTrustEpoch(trx);
  }
  return rows.length;
}

async function promoteNext(trx: Transaction<Tables>, uid: PartnerUid, now: number): Promise<void> {
  const keys = trx.updateTable('partner_keys').where('partner_uid', '=', uid);
  await keys.set({ state: 'retired' }).where('state', '=', 'current').execute();
  await keys.set({ state: 'current', overlap_till: null }).where('state', '=', 'next').execute();
  await recordPartnerKey(trx, 'key_changed', uid, now);
}

/** The same statement again, after a lost answer. */
function isRepeat(partner: Partner, { sequence, key }: KeyRotation): boolean {
  return (
    sequence === partner.rotationSequence &&
    partner.keys.some(({ state, fingerprint }) => state !== 'retired' && fingerprint.equals(key.fingerprint))
  );
}

async function admit(trx: Transaction<Tables>, partner: Partner, rotation: KeyRotation, now: number): Promise<void> {
  const { sequence, oldFingerprint, key, overlapTill } = rotation;
  const refuse = (details: string): never => {
    throw new AllianceError('rotation_refused', { details });
  };
  if (partner.state === 'revoked') refuse(`partner ${partner.name} is revoked`);
  // The channel that the statement came by may be older than the end of its key.
  if (!usableKeys(partner, now).some((own) => own.state === 'current' && own.fingerprint.equals(oldFingerprint)))
    refuse('the old key is no longer the current one');
  if (sequence <= partner.rotationSequence)
    throw new AllianceError('rotation_old_sequence', { details: `${sequence}, known: ${partner.rotationSequence}` });
  if (partner.keys.some(({ state }) => state === 'next')) throw new AllianceError('rotation_overlap');
  // The statement's times are the partner's: its clock may differ by as much as a ticket's may.
  if (overlapTill <= now || overlapTill > now + identityLimits.overlapMs + sessionLimits.skewMs)
    refuse('overlap_till must lie ahead, by at most 30 days');
  if (key.notAfter <= now) refuse('the new certificate has expired');
  try {
    await refuseKnownKey(trx, key.fingerprint);
  } catch (cause) {
    throw new AllianceError('rotation_refused', { details: 'the new key is known already', cause });
  }
  const buried = await trx
    .selectFrom('tombstones')
    .select('usable')
    .where('fingerprint', '=', key.fingerprint)
    .executeTakeFirst();
  if (buried) refuse('the new key belonged to a removed partner');
}
