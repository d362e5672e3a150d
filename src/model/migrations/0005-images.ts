/** Images that partners made here. */
import type { Kysely } from 'kysely';
import type { ColumnTypes } from './index.ts';

export async function up<T>(db: Kysely<T>, _types: ColumnTypes): Promise<void> {
  const { schema } = db;
  // Without a reference to the partner: an image stays when its partner goes, and somebody has to know whose it was.
  await schema
    .createTable('partner_images')
    .addColumn('region', 'text', (c) => c.notNull())
    .addColumn('image_id', 'text', (c) => c.notNull())
    .addColumn('partner_uid', 'text', (c) => c.notNull())
    .addColumn('cloud_id', 'text', (c) => c.notNull())
    .addColumn('size_bytes', 'bigint', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('partner_images_id', ['region', 'image_id'])
    .execute();
  await schema.createIndex('partner_images_partner').on('partner_images').columns(['partner_uid', 'region']).execute();
}
