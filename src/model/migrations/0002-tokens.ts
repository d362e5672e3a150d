/** What is needed for tokens of partners: mappings, the keys that sign them, how far their revocations were read; and what is known of own ones. */
import type { Kysely } from 'kysely';
import type { ColumnTypes } from './index.ts';

export async function up<T>(db: Kysely<T>, { binary }: ColumnTypes): Promise<void> {
  const { schema } = db;

  await schema
    .createTable('mappings')
    .addColumn('partner_uid', 'text', (c) => c.primaryKey().notNull().references('partners.uid').onDelete('cascade'))
    .addColumn('rules', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();

  await schema
    .createTable('token_keys')
    .addColumn('thumbprint', binary, (c) => c.notNull())
    .addColumn('partner_uid', 'text', (c) => c.notNull().references('partners.uid').onDelete('cascade'))
    .addColumn('algorithm', 'text', (c) => c.notNull())
    .addColumn('spki', binary, (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('token_keys_key', ['thumbprint', 'partner_uid'])
    .execute();

  await schema
    .createTable('followers')
    .addColumn('partner_uid', 'text', (c) => c.primaryKey().notNull().references('partners.uid').onDelete('cascade'))
    .addColumn('cursor', 'bigint', (c) => c.notNull())
    .addColumn('head', 'bigint', (c) => c.notNull())
    .addColumn('confirmed_at', 'bigint')
    .addColumn('last_error', 'text')
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();

  await schema
    .createTable('own_tokens')
    .addColumn('id', binary, (c) => c.primaryKey().notNull())
    .addColumn('key', binary, (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema.createIndex('own_tokens_end').on('own_tokens').columns(['expires_at', 'id']).execute();
}
