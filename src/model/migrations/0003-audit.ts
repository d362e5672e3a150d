/** The audit: its records, where the chain stands, what was signed about it, and what partners said of theirs. */
import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './index.ts';

export async function up<T>(db: Kysely<T>, { binary }: ColumnTypes): Promise<void> {
  const { schema } = db;

  await schema
    .createTable('audit')
    .addColumn('seq', 'bigint', (c) => c.primaryKey().notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('partner', 'text')
    .addColumn('subject', 'text')
    .addColumn('outcome', 'text', (c) => c.notNull())
    .addColumn('rule', 'text')
    .addColumn('request_id', 'text')
    .addColumn('details', 'text', (c) => c.notNull())
    .addColumn('previous', binary, (c) => c.notNull())
    .addColumn('hash', binary, (c) => c.notNull())
    .execute();
  await schema.createIndex('audit_at').on('audit').columns(['at']).execute();
  await schema.createIndex('audit_kind').on('audit').columns(['kind', 'partner', 'seq']).execute();

  await schema
    .createTable('audit_head')
    .addColumn('id', 'integer', (c) => c.primaryKey().notNull())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('hash', binary, (c) => c.notNull())
    .addColumn('settled', 'bigint', (c) => c.notNull())
    .execute();
  const zeros = Buffer.alloc(32);
  await sql`insert into audit_head (id, seq, hash, settled) values (1, 0, ${zeros}, 0)`.execute(db);

  await schema
    .createTable('audit_seals')
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('head', binary, (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('signature', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('audit_seals_key', ['kind', 'seq'])
    .execute();

  await schema
    .createTable('audit_checkpoints')
    .addColumn('partner_uid', 'text', (c) => c.primaryKey().notNull().references('partners.uid').onDelete('cascade'))
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('head', binary, (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('signature', 'text', (c) => c.notNull())
    .addColumn('received_at', 'bigint', (c) => c.notNull())
    .addColumn('backwards_at', 'bigint')
    .addColumn('forked_at', 'bigint')
    .addColumn('disputed_at', 'bigint')
    .execute();

  await schema
    .createTable('audit_statements')
    .addColumn('partner_uid', 'text', (c) => c.notNull().references('partners.uid').onDelete('cascade'))
    .addColumn('disputed', 'integer', (c) => c.notNull())
    .addColumn('day', 'bigint', (c) => c.notNull())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('head', binary, (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('signature', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('audit_statements_key', ['partner_uid', 'disputed', 'day'])
    .execute();
}
