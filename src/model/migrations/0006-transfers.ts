/** Runs of syncs, their tasks, and the images that are on their way into a region. */
import type { Kysely } from 'kysely';
import type { ColumnTypes } from './index.ts';

export async function up<T>(db: Kysely<T>, _types: ColumnTypes): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('executions')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('trigger_name', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('options', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('failure_name', 'text')
    .addColumn('failure_reason', 'text')
    .addColumn('runner', 'text', (c) => c.notNull())
    .addColumn('stop_asked', 'integer', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('seen_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .execute();
  await schema.createIndex('executions_started').on('executions').columns(['started_at', 'id']).execute();
  await schema.createIndex('executions_state').on('executions').columns(['state', 'started_at']).execute();
  await schema
    .createTable('execution_regions')
    .addColumn('execution_id', 'text', (c) => c.notNull().references('executions.id').onDelete('cascade'))
    .addColumn('region', 'text', (c) => c.notNull())
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('failure_name', 'text')
    .addColumn('failure_reason', 'text')
    .addColumn('ended_at', 'bigint')
    .addPrimaryKeyConstraint('execution_regions_key', ['execution_id', 'region'])
    .execute();
  await schema.createIndex('execution_regions_region').on('execution_regions').columns(['region']).execute();
  await schema
    .createTable('execution_tasks')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('execution_id', 'text', (c) => c.notNull().references('executions.id').onDelete('cascade'))
    .addColumn('region', 'text', (c) => c.notNull())
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('source_id', 'text')
    .addColumn('image_id', 'text')
    .addColumn('total_bytes', 'bigint', (c) => c.notNull())
    .addColumn('sent_bytes', 'bigint', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('failure_name', 'text')
    .addColumn('failure_reason', 'text')
    .addColumn('started_at', 'bigint')
    .addColumn('ended_at', 'bigint')
    .execute();
  await schema
    .createIndex('execution_tasks_execution')
    .on('execution_tasks')
    .columns(['execution_id', 'region', 'position'])
    .execute();
  // Without a reference to the execution: what was begun has to be ended, however long ago that run is forgotten.
  await schema
    .createTable('transfers')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('execution_id', 'text', (c) => c.notNull())
    .addColumn('task_id', 'text', (c) => c.notNull())
    .addColumn('region_key', 'text', (c) => c.notNull())
    .addColumn('image_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('source_id', 'text', (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addColumn('old', 'text')
    .addColumn('final', 'text', (c) => c.notNull())
    .addColumn('step', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema.createIndex('transfers_region').on('transfers').columns(['region_key', 'created_at']).execute();
  await schema
    .createTable('listed_images')
    .addColumn('key', 'text', (c) => c.primaryKey().notNull())
    .addColumn('images', 'integer', (c) => c.notNull())
    .execute();
}
