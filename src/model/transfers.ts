/** The stored images that are on their way. */
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import type { Database } from './database.ts';
import type { TransferRow } from './tables.ts';
import type { ContentProof, FinalAttributes, OldImage, Transfer, Transfers } from './transfer.ts';

const toTransfer = (row: TransferRow): Transfer => ({
  id: row.id,
  executionId: row.execution_id,
  taskId: row.task_id,
  regionKey: row.region_key,
  imageId: row.image_id,
  name: row.name,
  sourceId: row.source_id,
  content: JSON.parse(row.content) as ContentProof,
  old: row.old === null ? null : (JSON.parse(row.old) as OldImage),
  final: JSON.parse(row.final) as FinalAttributes,
  step: row.step,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

export function createTransfers(db: Database, clock: Clock): Transfers {
  return {
    begin: async (transfer) => {
      const now = clock.now();
      const row: TransferRow = {
        id: transfer.id,
        execution_id: transfer.executionId,
        task_id: transfer.taskId,
        region_key: transfer.regionKey,
        image_id: transfer.imageId,
        name: transfer.name,
        source_id: transfer.sourceId,
        content: JSON.stringify(transfer.content),
        old: transfer.old && JSON.stringify(transfer.old),
        final: JSON.stringify(transfer.final),
        step: 'create',
        created_at: now,
        updated_at: now,
      };
      await db.writer.insertInto('transfers').values(row).execute();
    },

    setStep: async (id, step, content) => {
      const { numUpdatedRows } = await db.writer
        .updateTable('transfers')
        .set({ step, updated_at: clock.now(), ...(content && { content: JSON.stringify(content) }) })
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      if (numUpdatedRows !== 1n)
        throw new AllianceError('internal', { details: 'Another process has ended this transfer.', retryable: false });
    },

    close: async (id) => {
      await db.writer.deleteFrom('transfers').where('id', '=', id).execute();
    },

    has: async (id) => {
      const row = db.reader.selectFrom('transfers').select('id').where('id', '=', id);
      return (await row.executeTakeFirst()) !== undefined;
    },

    openIn: async (regionKey) => {
      const rows = db.reader.selectFrom('transfers').selectAll().where('region_key', '=', regionKey);
      return (await rows.orderBy('created_at').orderBy('id').execute()).map(toTransfer);
    },

    listedImages: async (key) => {
      const row = await db.reader
        .selectFrom('listed_images')
        .select('images')
        .where('key', '=', key)
        .executeTakeFirst();
      return row?.images ?? null;
    },

    setListedImages: async (key, images) => {
      await db.light.writer
        .insertInto('listed_images')
        .values({ key, images })
        .onConflict((oc) => oc.column('key').doUpdateSet({ images }))
        .execute();
    },
  };
}
