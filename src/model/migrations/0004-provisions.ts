/** Projects that were made here for partners, and those that partners made for this cloud. */
import type { Kysely } from 'kysely';
import type { ColumnTypes } from './index.ts';

export async function up<T>(db: Kysely<T>, _types: ColumnTypes): Promise<void> {
  const { schema } = db;
  // Without a reference to the partner: a project has still to be removed when its partner is long forgotten.
  await schema
    .createTable('provisions')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('direction', 'text', (c) => c.notNull())
    .addColumn('partner_uid', 'text', (c) => c.notNull())
    .addColumn('cloud_id', 'text', (c) => c.notNull())
    .addColumn('request_id', 'text', (c) => c.notNull())
    .addColumn('asked', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text')
    .addColumn('roles', 'text', (c) => c.notNull())
    .addColumn('domain_id', 'text')
    .addColumn('project_id', 'text')
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('noticed_at', 'bigint')
    .addColumn('last_error', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema
    .createIndex('provisions_request')
    .on('provisions')
    .columns(['partner_uid', 'direction', 'request_id'])
    .unique()
    .execute();
  await schema
    .createIndex('provisions_project')
    .on('provisions')
    .columns(['project_id', 'direction', 'partner_uid'])
    .execute();
  // What counts is counted by this one, however many are remembered besides.
  await schema
    .createIndex('provisions_partner')
    .on('provisions')
    .columns(['partner_uid', 'direction', 'state'])
    .execute();
  await schema.createIndex('provisions_state').on('provisions').columns(['direction', 'state']).execute();
}
