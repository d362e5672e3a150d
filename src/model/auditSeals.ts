/** What was signed: by this cloud about its own chain, and by partners about theirs. */
import type { Kysely } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { auditLimits } from '../core/limits.ts';
import type { Audit, HeldCheckpoint, NewCheckpoint, Reception, Seal, SealKind } from './audit.ts';
import type { Database } from './database.ts';
import type { AuditCheckpointRow, Tables } from './tables.ts';

type Seals = Pick<Audit, 'seal' | 'addCheckpoint' | 'cutPoint' | 'cut' | 'receive' | 'held' | 'raiseAlarm'>;

export function createSeals(db: Database, clock: Clock): Seals {
  return {
    seal: (kind) => findSeal(db.reader, kind),

    addCheckpoint: async ({ seq, head, at, payload, signature }) => {
      await db.writer
        .insertInto('audit_seals')
        .values({ kind: 'checkpoint', seq, head, at, payload, signature })
        .onConflict((oc) => oc.columns(['kind', 'seq']).doNothing())
        .execute();
    },

    cutPoint: async (keepFrom) => {
      const edge = async (which: 'first' | 'kept') => {
        const row = await db.reader
          .selectFrom('audit')
          .select((eb) => eb.fn.min('seq').as('seq'))
          .where('at', '>=', which === 'kept' ? keepFrom : 0)
          .executeTakeFirst();
        return row?.seq == null ? null : Number(row.seq);
      };
      const first = await edge('first');
      if (first === null) return null;
      // Everything older: when nothing is to be kept, all of it.
      const before = (await edge('kept')) ?? Number.MAX_SAFE_INTEGER;
      const row = await db.reader
        .selectFrom('audit')
        .select(['seq', 'hash'])
        .where('seq', '<', Math.min(before, first + auditLimits.cutRows))
        .orderBy('seq', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ?? null;
    },

    cut: ({ seq, head, at, payload, signature }) =>
      db.write(async (trx) => {
        const last = await trx.selectFrom('audit').select('hash').where('seq', '=', seq).executeTakeFirst();
        if (!last?.hash.equals(head))
          throw new AllianceError('internal', { details: `Record ${seq} of the audit is not the one to cut at.` });
        await trx.deleteFrom('audit').where('seq', '<=', seq).execute();
        await trx.deleteFrom('audit_seals').where('seq', '<=', seq).execute();
        await trx.insertInto('audit_seals').values({ kind: 'cut', seq, head, at, payload, signature }).execute();
      }),

    receive: (partnerUid, checkpoint) =>
      db.write(async (trx) => {
        const held = await trx
          .selectFrom('audit_checkpoints')
          .selectAll()
          .where('partner_uid', '=', partnerUid)
          .executeTakeFirst();
        const reception = held ? compare(held, checkpoint) : 'kept';
        if (reception !== 'kept') return reception;
        const { seq, head, at, payload, signature } = checkpoint;
        const columns = { seq, head, at, payload, signature, received_at: clock.now() };
        await trx
          .insertInto('audit_checkpoints')
          .values({ partner_uid: partnerUid, ...columns, alarm: null, alarm_at: null })
          .onConflict((oc) => oc.column('partner_uid').doUpdateSet(columns))
          .execute();
        return reception;
      }),

    held: async () => (await db.reader.selectFrom('audit_checkpoints').selectAll().execute()).map(toHeld),

    raiseAlarm: async (partnerUid, alarm) => {
      await db.writer
        .updateTable('audit_checkpoints')
        .set({ alarm, alarm_at: clock.now() })
        .where('partner_uid', '=', partnerUid)
        .execute();
    },
  };
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

const toHeld = ({ partner_uid, received_at, alarm_at, ...row }: AuditCheckpointRow): HeldCheckpoint => ({
  ...row,
  partnerUid: partner_uid,
  receivedAt: received_at,
  alarmAt: alarm_at,
});
