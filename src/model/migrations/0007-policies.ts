/** Syncs that a broker does by itself, how images looked that they wait for, and the log of executions. */
import type { Kysely } from 'kysely';
import type { ColumnTypes } from './index.ts';

export async function up<T>(db: Kysely<T>, _types: ColumnTypes): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('image_policies')
    .addColumn('name', 'text', (c) => c.primaryKey().notNull())
    .addColumn('disabled', 'integer', (c) => c.notNull())
    .addColumn('trigger', 'text', (c) => c.notNull())
    .addColumn('seen_till', 'bigint', (c) => c.notNull())
    .addColumn('due_since', 'bigint')
    .addColumn('due_reason', 'text')
    .addColumn('last_execution', 'text')
    .addColumn('skipped_at', 'bigint')
    // 1: its images were looked at, though there may have been none.
    .addColumn('looked', 'integer', (c) => c.notNull())
    .execute();
  await schema
    .createTable('image_baselines')
    .addColumn('policy', 'text', (c) => c.notNull().references('image_policies.name').onDelete('cascade'))
    .addColumn('image_id', 'text', (c) => c.notNull())
    .addColumn('looks', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('image_baselines_key', ['policy', 'image_id'])
    .execute();
  // Without a reference to the execution: the log may be there first, and is pruned with it.
  await schema
    .createTable('execution_lines')
    .addColumn('execution_id', 'text', (c) => c.notNull())
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('level', 'text', (c) => c.notNull())
    .addColumn('region', 'text')
    .addColumn('image', 'text')
    .addColumn('text', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('execution_lines_key', ['execution_id', 'position'])
    .execute();
}
