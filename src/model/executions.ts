/** The stored executions of syncs. */
import type { Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { syncLimits } from '../core/limits.ts';
import { hasEnded, ownProcess } from '../core/ownProcess.ts';
import type { Database } from './database.ts';
import type { Execution, ExecutionState, Executions, Failure } from './execution.ts';
import { failureColumns, newRow, toExecution, toRegion, toTask, toTaskRow } from './executionRows.ts';
import type { ExecutionRow, Tables } from './tables.ts';

type Trx = Transaction<Tables>;

const broken: Failure = { name: 'internal', reason: 'The process that ran it ended before it did.' };
/** Rows in one statement, below the number of parameters that engines take. */
const rowsAtOnce = 500;

export function createExecutions(db: Database, clock: Clock): Executions {
  async function withRegions(rows: readonly ExecutionRow[]): Promise<Execution[]> {
    const regions = new Map<string, string[]>(rows.map(({ id }) => [id, []]));
    for (const ids of chunked([...regions.keys()])) {
      const found = await db.reader
        .selectFrom('execution_regions')
        .select(['execution_id', 'region'])
        .where('execution_id', 'in', ids)
        .orderBy('position')
        .execute();
      for (const each of found) regions.get(each.execution_id)!.push(each.region);
    }
    return rows.map((row) => toExecution(row, regions.get(row.id)!));
  }

  return {
    begin: (execution) =>
      db.write(async (trx) => {
        const { numInsertedOrUpdatedRows } = await trx
          .insertInto('executions')
          .values(newRow(execution, ownProcess(), clock.now()))
          .onConflict((oc) => oc.column('id').doNothing())
          .executeTakeFirstOrThrow();
        if (numInsertedOrUpdatedRows !== 1n)
          throw new AllianceError('bad_request', { field: 'execution_id', details: 'There is one of that id.' });
        const regions = execution.regions.map((region, position) => ({
          execution_id: execution.id,
          region,
          position,
          state: 'waiting' as const,
          ...failureColumns(null),
          ended_at: null,
        }));
        for (const rows of chunked(regions)) await trx.insertInto('execution_regions').values(rows).execute();
      }),

    touch: async (id) => {
      const row = await db.writer
        .updateTable('executions')
        .set({ seen_at: clock.now() })
        .where('id', '=', id)
        .where('state', '=', 'running')
        .returning('stop_asked')
        .executeTakeFirst();
      // One that somebody declared broken must not go on either.
      return row?.stop_asked !== 0;
    },

    setRegion: async (id, region, state, failure) => {
      const ended_at = state === 'waiting' || state === 'running' ? null : clock.now();
      await db.writer
        .updateTable('execution_regions')
        .set({ state, ...failureColumns(failure), ended_at })
        .where('execution_id', '=', id)
        .where('region', '=', region)
        .execute();
    },

    addTasks: (id, tasks) =>
      db.write(async (trx) => {
        for (const some of chunked(tasks))
          await trx
            .insertInto('execution_tasks')
            .values(some.map((task) => toTaskRow(id, task)))
            .execute();
      }),

    setTask: async (executionId, task) => {
      const { id, ...row } = toTaskRow(executionId, task);
      await db.writer.updateTable('execution_tasks').set(row).where('id', '=', id).execute();
    },

    end: (id, state, failure) => db.write((trx) => endOne(trx, { id, state, failure, now: clock.now() })),

    askToStop: async (id) => {
      const { numUpdatedRows } = await db.writer
        .updateTable('executions')
        .set({ stop_asked: 1 })
        .where('id', '=', id)
        .where('state', '=', 'running')
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },

    get: async (id) => {
      const row = await db.reader.selectFrom('executions').selectAll().where('id', '=', id).executeTakeFirst();
      return row ? (await withRegions([row]))[0]! : null;
    },

    list: async ({ states, trigger, region, limit = syncLimits.listed } = {}) => {
      let rows = db.reader.selectFrom('executions').selectAll();
      if (states !== undefined) rows = rows.where('state', 'in', [...states]);
      if (trigger !== undefined) rows = rows.where('trigger_name', '=', trigger);
      if (region !== undefined)
        rows = rows.where('id', 'in', (eb) =>
          eb.selectFrom('execution_regions').select('execution_id').where('region', '=', region),
        );
      return withRegions(await rows.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit).execute());
    },

    regions: async (id) => {
      const rows = db.reader.selectFrom('execution_regions').selectAll().where('execution_id', '=', id);
      return (await rows.orderBy('position').execute()).map(toRegion);
    },

    tasks: async (id) => {
      const rows = db.reader
        .selectFrom('execution_tasks')
        .innerJoin('execution_regions', (join) =>
          join
            .onRef('execution_regions.execution_id', '=', 'execution_tasks.execution_id')
            .onRef('execution_regions.region', '=', 'execution_tasks.region'),
        )
        .selectAll('execution_tasks')
        .where('execution_tasks.execution_id', '=', id)
        .orderBy('execution_regions.position')
        .orderBy('execution_tasks.position');
      return (await rows.execute()).map(toTask);
    },

    delete: async (id) => {
      const { numDeletedRows } = await db.writer
        .deleteFrom('executions')
        .where('id', '=', id)
        .where('state', '!=', 'running')
        .executeTakeFirstOrThrow();
      return numDeletedRows > 0n;
    },

    endBroken: async (now) => {
      const running = await db.reader
        .selectFrom('executions')
        .select(['id', 'runner', 'seen_at'])
        .where('state', '=', 'running')
        .execute();
      // A clock that was set back makes nobody silent for ever.
      const silent = (seenAt: number): boolean => Math.abs(now - seenAt) > syncLimits.silentMs;
      const ids = running.filter(({ runner, seen_at }) => hasEnded(runner) || silent(seen_at)).map(({ id }) => id);
      for (const id of ids) await db.write((trx) => endOne(trx, { id, state: 'failed', failure: broken, now }));
      return ids;
    },

    prune: async (now) => {
      await db.writer
        .deleteFrom('executions')
        .where('state', '!=', 'running')
        .where((eb) =>
          eb.or([
            eb('ended_at', '<=', now - syncLimits.executionsMs),
            eb('id', 'not in', (inner) =>
              inner
                .selectFrom('executions')
                .select('id')
                .orderBy('started_at', 'desc')
                .orderBy('id', 'desc')
                .limit(syncLimits.executions),
            ),
          ]),
        )
        .execute();
    },
  };
}

interface Ending {
  readonly id: string;
  readonly state: Exclude<ExecutionState, 'running'>;
  readonly failure: Failure | null;
  readonly now: number;
}

async function endOne(trx: Trx, { id, state, failure, now }: Ending): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('executions')
    .set({ state, ...failureColumns(failure), ended_at: now })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) return;
  const left = { ...failureColumns(failure), ended_at: now };
  await trx
    .updateTable('execution_regions')
    .set({ state: state === 'stopped' ? 'stopped' : 'failed', ...left })
    .where('execution_id', '=', id)
    .where('state', 'in', ['waiting', 'running'])
    .execute();
  for (const [open, ended] of [
    ['waiting', 'skipped'],
    ['running', 'failed'],
  ] as const)
    await trx
      .updateTable('execution_tasks')
      .set({ state: ended, ...left })
      .where('execution_id', '=', id)
      .where('state', '=', open)
      .execute();
}

function chunked<T>(items: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += rowsAtOnce) chunks.push(items.slice(i, i + rowsAtOnce));
  return chunks;
}
