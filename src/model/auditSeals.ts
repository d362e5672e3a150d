/** What was signed: by this cloud about its own chain, and by partners about theirs. */
import type { Kysely, Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { dayMs } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { auditLimits } from '../core/limits.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Audit, HeldCheckpoint, NewCheckpoint, Reception, Seal, SealKind } from './audit.ts';
import { keepNote, readNote } from './auditNotes.ts';
import { unsignedRestores } from './auditRestores.ts';
import type { Database } from './database.ts';
import type { AuditCheckpointRow, Tables } from './tables.ts';

type Seals = Omit<Audit, 'append' | 'note' | 'list' | 'head' | 'hashOf' | 'verify'>;

export function createSeals(db: Database, clock: Clock, keyring: Keyring): Seals {
  const addSeal = async ({ kind, seq, head, at, payload, signature }: Seal): Promise<void> => {
    await db.writer
      .insertInto('audit_seals')
      .values({ kind, seq, head, at, payload, signature })
      .onConflict((oc) => oc.columns(['kind', 'seq']).doNothing())
      .execute();
  };

  return {
    seal: (kind) => findSeal(db.reader, kind),

    firstCheckpoint: async (time) => {
      const seals = db.reader.selectFrom('audit_seals').selectAll().where('kind', '=', 'checkpoint');
      const cut = await findSeal(db.reader, 'cut');
      const there = seals.where('seq', '>', cut?.seq ?? 0);
      const made = time ? there.where('at', '>=', time.since).where('at', '<', time.before) : there;
      return (await made.orderBy('seq').limit(1).executeTakeFirst()) ?? null;
    },

    checkpointBefore: async (at) => {
      const seals = db.reader.selectFrom('audit_seals').selectAll().where('kind', '=', 'checkpoint');
      return (await seals.where('at', '<=', at).orderBy('seq', 'desc').limit(1).executeTakeFirst()) ?? null;
    },

    checkpointBelow: async (seq) => {
      const seals = db.reader.selectFrom('audit_seals').selectAll().where('kind', '=', 'checkpoint');
      return (await seals.where('seq', '<', seq).orderBy('seq', 'desc').limit(1).executeTakeFirst()) ?? null;
    },

    keepNote: (note, content) => keepNote(db, keyring, note, content),

    noteOf: (note) => readNote(db, keyring, note),

    addCheckpoint: (checkpoint) => addSeal({ kind: 'checkpoint', ...checkpoint }),

    sealRestore: (statement) => addSeal({ kind: 'restore', ...statement }),

    sealOf: async (kind, seq) => {
      const seals = db.reader.selectFrom('audit_seals').selectAll();
      return (await seals.where('kind', '=', kind).where('seq', '=', seq).executeTakeFirst()) ?? null;
    },

    restores: () => unsignedRestores(db.reader, keyring),

    cut: ({ seq, head, at, payload, signature }) =>
      db.write(async (trx) => {
        const last = await trx.selectFrom('audit').select('hash').where('seq', '=', seq).executeTakeFirst();
        if (!last?.hash.equals(head))
          throw new AllianceError('internal', { details: `Record ${seq} of the audit is not the one to cut at.` });
        await trx.deleteFrom('audit').where('seq', '<=', seq).execute();
        await trx.deleteFrom('audit_seals').where('seq', '<=', seq).execute();
        await trx.insertInto('audit_seals').values({ kind: 'cut', seq, head, at, payload, signature }).execute();
      }),

    receive: (partnerUid, checkpoint, disputed = false) =>
      db.write(async (trx) => {
        const held = await trx
          .selectFrom('audit_checkpoints')
          .selectAll()
          .where('partner_uid', '=', partnerUid)
          .executeTakeFirst();
        const reception = held ? compare(held, checkpoint) : 'kept';
        const isFit = reception === 'kept' || reception === 'overtaken';
        if (isFit) await keepStatement(trx, partnerUid, checkpoint, { disputed, now: clock.now() });
        if (reception !== 'kept') return reception;
        const { seq, head, at, payload, signature } = checkpoint;
        const columns = { seq, head, at, payload, signature, received_at: clock.now() };
        await trx
          .insertInto('audit_checkpoints')
          .values({ partner_uid: partnerUid, ...columns, backwards_at: null, forked_at: null, disputed_at: null })
          .onConflict((oc) => oc.column('partner_uid').doUpdateSet(columns))
          .execute();
        return reception;
      }),

    statements: async () => {
      const rows = await db.reader.selectFrom('audit_statements').selectAll().orderBy('day').execute();
      return rows.map(({ partner_uid: partnerUid, seq, head, at, payload, signature }) => {
        return { partnerUid, seq, head, at, payload, signature };
      });
    },

    held: async () => (await db.reader.selectFrom('audit_checkpoints').selectAll().execute()).map(toHeld),

    raiseAlarm: async (partnerUid, alarm) => {
      await db.writer
        .updateTable('audit_checkpoints')
        .set({ [`${alarm}_at`]: clock.now() })
        .where('partner_uid', '=', partnerUid)
        .execute();
    },
  };
}

/**
 * What is kept of a partner besides its latest statement, and never replaced: the first one, the first of each day, and the first of
 * each day that contradicts our audit.
 */
async function keepStatement(
  trx: Transaction<Tables>,
  partnerUid: PartnerUid,
  { seq, head, at, payload, signature }: NewCheckpoint,
  { disputed, now }: { readonly disputed: boolean; readonly now: number },
): Promise<void> {
  const day = Math.floor(now / dayMs);
  const row = { partner_uid: partnerUid, disputed: disputed ? 1 : 0, day, seq, head, at, payload, signature };
  const { numInsertedOrUpdatedRows: added } = await trx
    .insertInto('audit_statements')
    .values(row)
    .onConflict((oc) => oc.columns(['partner_uid', 'disputed', 'day']).doNothing())
    .executeTakeFirstOrThrow();
  if (!added) return;
  const ofPartner = trx.selectFrom('audit_statements').where('partner_uid', '=', partnerUid);
  const { first } = await ofPartner.select((eb) => eb.fn.min('day').as('first')).executeTakeFirstOrThrow();
  await trx
    .deleteFrom('audit_statements')
    .where('partner_uid', '=', partnerUid)
    .where('day', '<=', day - auditLimits.statementDays)
    .where('day', '>', Number(first))
    .execute();
}

/** A shorter chain at a later time went back; one of an earlier time is only an older statement. */
function compare(held: AuditCheckpointRow, { seq, head, at }: NewCheckpoint): Reception {
  if (seq === held.seq && !head.equals(held.head)) return 'forked';
  if (seq > held.seq || (seq === held.seq && at >= held.at)) return 'kept';
  if (seq < held.seq && at > held.at) return 'backwards';
  return held.at - at <= auditLimits.overtakenMs ? 'overtaken' : 'stale';
}

/** The newest of its kind. */
export async function findSeal(db: Kysely<Tables>, kind: SealKind): Promise<Seal | null> {
  const row = await db
    .selectFrom('audit_seals')
    .selectAll()
    .where('kind', '=', kind)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row ?? null;
}

const toHeld = (row: AuditCheckpointRow): HeldCheckpoint => {
  const { partner_uid: partnerUid, received_at: receivedAt, backwards_at, forked_at, disputed_at, ...checkpoint } = row;
  const alarms = { backwards: backwards_at, forked: forked_at, disputed: disputed_at };
  return { ...checkpoint, partnerUid, receivedAt, alarms };
};
