/** Identity, partners, invitations, sessions, replays, leases, feed and settings. */
import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './index.ts';

export async function up<T>(db: Kysely<T>, { binary }: ColumnTypes): Promise<void> {
  const { schema } = db;

  await schema
    .createTable('partners')
    .addColumn('uid', 'text', (c) => c.primaryKey())
    .addColumn('cloud_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('approval', 'text')
    .addColumn('trust_since', 'bigint', (c) => c.notNull())
    .addColumn('trust_till', 'bigint')
    .addColumn('endpoints', 'text', (c) => c.notNull())
    .addColumn('binding', 'text', (c) => c.notNull())
    .addColumn('code', 'text')
    .addColumn('rotation_sequence', 'bigint', (c) => c.notNull())
    .addColumn('bundle_sequence', 'bigint', (c) => c.notNull())
    .addColumn('acknowledged_sequence', 'bigint', (c) => c.notNull())
    .addColumn('revoked_by', 'text')
    .addColumn('removed', 'integer', (c) => c.notNull())
    .addColumn('notice_pending', 'text')
    .addColumn('continuity_granted_till', 'bigint')
    .addColumn('last_contact', 'bigint')
    .addColumn('last_error', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  for (const column of ['cloud_id', 'name'])
    await schema
      .createIndex(`partners_${column}`)
      .on('partners')
      .column(column)
      .unique()
      .where(sql.ref('removed'), '=', sql.lit(0))
      .execute();

  await schema
    .createTable('partner_keys')
    .addColumn('fingerprint', binary, (c) => c.primaryKey().notNull())
    .addColumn('partner_uid', 'text', (c) => c.notNull().references('partners.uid').onDelete('cascade'))
    .addColumn('algorithm', 'text', (c) => c.notNull())
    .addColumn('certificate_der', binary, (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('not_before', 'bigint', (c) => c.notNull())
    .addColumn('not_after', 'bigint', (c) => c.notNull())
    .addColumn('overlap_till', 'bigint')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema.createIndex('partner_keys_partner').on('partner_keys').column('partner_uid').execute();

  await schema
    .createTable('tombstones')
    .addColumn('fingerprint', binary, (c) => c.primaryKey().notNull())
    .addColumn('cloud_id', 'text', (c) => c.notNull())
    .addColumn('usable', 'integer', (c) => c.notNull())
    .execute();
  await schema.createIndex('tombstones_cloud_id').on('tombstones').column('cloud_id').execute();

  await schema
    .createTable('identities')
    .addColumn('fingerprint', binary, (c) => c.primaryKey().notNull())
    .addColumn('cloud_id', 'text', (c) => c.notNull())
    .addColumn('algorithm', 'text', (c) => c.notNull())
    .addColumn('certificate_der', binary, (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('not_before', 'bigint', (c) => c.notNull())
    .addColumn('not_after', 'bigint', (c) => c.notNull())
    .addColumn('sequence', 'bigint', (c) => c.notNull().unique())
    .addColumn('overlap_till', 'bigint')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();

  await schema
    .createTable('invitations')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('kp', binary, (c) => c.notNull())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('name', 'text')
    .addColumn('for_cloud_id', 'text')
    .addColumn('approve', 'integer', (c) => c.notNull())
    .addColumn('trust_till', 'bigint')
    .addColumn('replace_identity', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('used_by', binary)
    .addColumn('used_at', 'bigint')
    .addColumn('partner_uid', 'text', (c) => c.references('partners.uid').onDelete('set null'))
    .execute();

  await schema
    .createTable('sessions')
    .addColumn('direction', 'text', (c) => c.notNull())
    .addColumn('sid', 'text', (c) => c.notNull())
    .addColumn('partner_uid', 'text', (c) => c.notNull().references('partners.uid').onDelete('cascade'))
    .addColumn('own_fingerprint', binary, (c) => c.notNull())
    .addColumn('partner_fingerprint', binary, (c) => c.notNull())
    .addColumn('secret', binary)
    .addColumn('continuity', binary)
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('valid_till', 'bigint', (c) => c.notNull())
    .addColumn('confirmed_at', 'bigint')
    .addColumn('continuity_till', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('sessions_key', ['direction', 'sid'])
    .execute();
  await schema.createIndex('sessions_partner').on('sessions').columns(['partner_uid', 'direction']).execute();

  await schema
    .createTable('replays')
    .addColumn('issuer', 'text', (c) => c.notNull())
    .addColumn('jti', binary, (c) => c.notNull())
    .addColumn('keep_till', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('replays_key', ['issuer', 'jti'])
    .execute();
  await schema.createIndex('replays_keep_till').on('replays').column('keep_till').execute();

  await schema
    .createTable('leases')
    .addColumn('name', 'text', (c) => c.primaryKey().notNull())
    .addColumn('holder', 'text', (c) => c.notNull())
    .addColumn('till', 'bigint', (c) => c.notNull())
    .execute();

  await schema
    .createTable('feed')
    .addColumn('seq', 'bigint', (c) => c.primaryKey().notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .execute();
  await schema.createIndex('feed_subject').on('feed').columns(['subject', 'seq']).execute();

  await schema
    .createTable('settings')
    .addColumn('key', 'text', (c) => c.primaryKey().notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();

  await schema
    .createTable('counters')
    .addColumn('name', 'text', (c) => c.primaryKey().notNull())
    .addColumn('value', 'bigint', (c) => c.notNull())
    .execute();
  await sql`insert into counters (name, value) values ('trust_epoch', 1), ('feed_head', 0), ('feed_cut', 0)`.execute(
    db,
  );
}
