/** The stored logs of executions. */
import { imagePolicyLimits } from '../core/limits.ts';
import type { Database } from './database.ts';
import type { ExecutionLog } from './executionLog.ts';

const cut = (text: string): string => text.slice(0, imagePolicyLimits.logTextCharacters);

export const createExecutionLog = (db: Database): ExecutionLog => ({
  append: (executionId, lines) =>
    db.write(async (trx) => {
      const row = await trx
        .selectFrom('execution_lines')
        .select(({ fn }) => fn.max<number | null>('position').as('last'))
        .where('execution_id', '=', executionId)
        .executeTakeFirst();
      const last = row?.last ?? 0;
      for (const [i, { at, level, region, image, text }] of lines.slice(0, imagePolicyLimits.logLines - last).entries())
        await trx
          .insertInto('execution_lines')
          .values({ execution_id: executionId, position: last + 1 + i, at, level, region, image, text: cut(text) })
          .execute();
    }),

  read: (executionId, after) =>
    db.reader
      .selectFrom('execution_lines')
      .select(['position', 'at', 'level', 'region', 'image', 'text'])
      .where('execution_id', '=', executionId)
      .where('position', '>', after)
      .orderBy('position')
      .limit(imagePolicyLimits.logPageLines)
      .execute(),

  prune: async () => {
    await db.writer
      .deleteFrom('execution_lines')
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('executions').select('id').whereRef('id', '=', 'execution_lines.execution_id'))),
      )
      .execute();
  },
});
