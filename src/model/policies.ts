/** The stored state of policies. */
import type { Transaction } from 'kysely';
import { imagePolicyLimits } from '../core/limits.ts';
import type { Database } from './database.ts';
import type { DueReason, Policies, PolicyState } from './policy.ts';
import type { ImagePolicyRow, Tables } from './tables.ts';

const notDue = { due_since: null, due_reason: null } as const;

const toState = (row: ImagePolicyRow): PolicyState => ({
  name: row.name,
  disabled: row.disabled === 1,
  trigger: row.trigger,
  seenTill: row.seen_till,
  due: row.due_since === null || row.due_reason === null ? null : { since: row.due_since, reason: row.due_reason },
  lastExecution: row.last_execution,
  skippedAt: row.skipped_at,
});

const fresh = (name: string): ImagePolicyRow => ({
  ...{ name, disabled: 0, trigger: '', seen_till: 0, ...notDue },
  ...{ last_execution: null, skipped_at: null, looked: 0 },
});

export function createPolicies(db: Database): Policies {
  const upsert = (trx: Transaction<Tables>, name: string, set: Partial<ImagePolicyRow>) =>
    trx
      .insertInto('image_policies')
      .values({ ...fresh(name), ...set })
      .onConflict((oc) => oc.column('name').doUpdateSet(set))
      .execute();

  const change = async (name: string, set: Partial<ImagePolicyRow>): Promise<void> => {
    await db.writer.updateTable('image_policies').set(set).where('name', '=', name).execute();
  };

  /** A run that is due already stays as it is. */
  const makeDue = async (trx: Transaction<Tables>, name: string, reason: DueReason, now: number): Promise<void> => {
    await trx
      .updateTable('image_policies')
      .set({ due_since: now, due_reason: reason })
      .where('name', '=', name)
      .where('due_since', 'is', null)
      .execute();
  };

  return {
    list: async () => (await db.reader.selectFrom('image_policies').selectAll().orderBy('name').execute()).map(toState),

    get: async (name) => {
      const row = await db.reader.selectFrom('image_policies').selectAll().where('name', '=', name).executeTakeFirst();
      return row ? toState(row) : null;
    },

    setDisabled: (name, disabled) =>
      db.write(async (trx) => {
        // Counting begins anew when it is switched on, by an empty trigger.
        await upsert(trx, name, { disabled: disabled ? 1 : 0, trigger: '', ...notDue });
      }),

    begin: (name, trigger, now) =>
      db.write(async (trx) => {
        await upsert(trx, name, { trigger, seen_till: now, looked: 0 });
        await trx.deleteFrom('image_baselines').where('policy', '=', name).execute();
      }),

    seen: (name, from, till, due) =>
      db.write(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable('image_policies')
          .set({ seen_till: till })
          .where('name', '=', name)
          .where('seen_till', '=', from)
          .executeTakeFirstOrThrow();
        if (numUpdatedRows !== 1n) return false;
        if (due !== null) await makeDue(trx, name, due, till);
        return true;
      }),

    ask: (name, reason, now) =>
      db.write(async (trx) => {
        const values = fresh(name);
        await trx
          .insertInto('image_policies')
          .values(values)
          .onConflict((oc) => oc.doNothing())
          .execute();
        await makeDue(trx, name, reason, now);
      }),

    skipped: (name, now) => change(name, { skipped_at: now }),

    take: (name) =>
      db.write(async (trx) => {
        const row = await trx.selectFrom('image_policies').selectAll().where('name', '=', name).executeTakeFirst();
        const due = row ? toState(row).due : null;
        if (!row || !due || (row.disabled === 1 && due.reason !== 'manual')) return null;
        await trx.updateTable('image_policies').set(notDue).where('name', '=', name).execute();
        return due.reason;
      }),

    started: (name, executionId) =>
      db.write(async (trx) => {
        await upsert(trx, name, { last_execution: executionId });
      }),

    baseline: async (name) => {
      const row = await db.reader
        .selectFrom('image_policies')
        .select('looked')
        .where('name', '=', name)
        .executeTakeFirst();
      if (row?.looked !== 1) return null;
      const rows = await db.reader
        .selectFrom('image_baselines')
        .select(['image_id', 'looks'])
        .where('policy', '=', name)
        .limit(imagePolicyLimits.baselineImages)
        .execute();
      return new Map(rows.map(({ image_id, looks }) => [image_id, looks]));
    },

    setBaseline: (name, next, due, now) =>
      db.write(async (trx) => {
        const rows = await trx.selectFrom('image_baselines').selectAll().where('policy', '=', name).execute();
        const before = new Map(rows.map(({ image_id, looks }) => [image_id, looks]));
        for (const id of before.keys())
          if (!next.has(id))
            await trx.deleteFrom('image_baselines').where('policy', '=', name).where('image_id', '=', id).execute();
        for (const [id, looks] of next)
          if (before.get(id) !== looks)
            await trx
              .insertInto('image_baselines')
              .values({ policy: name, image_id: id, looks })
              .onConflict((oc) => oc.columns(['policy', 'image_id']).doUpdateSet({ looks }))
              .execute();
        await trx.updateTable('image_policies').set({ looked: 1 }).where('name', '=', name).execute();
        if (due) await makeDue(trx, name, 'event', now);
      }),

    retain: async (names, before) => {
      const gone = db.writer.deleteFrom('image_policies').where('disabled', '=', 0).where('seen_till', '<', before);
      await (names.length > 0 ? gone.where('name', 'not in', [...names]) : gone).execute();
    },
  };
}
