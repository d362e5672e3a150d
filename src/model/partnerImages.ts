/** The stored notes of images that partners made. */
import type { Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { partnerImageLimits } from '../core/limits.ts';
import { appendAudit } from './auditChain.ts';
import type { Database } from './database.ts';
import type { ImageQuota, PartnerImage, PartnerImageKey, PartnerImages } from './partnerImage.ts';
import type { PartnerImageRow, Tables } from './tables.ts';

const { touchMs, uploadIdleMs } = partnerImageLimits;

type Trx = Transaction<Tables>;

const toPartnerImage = (row: PartnerImageRow): PartnerImage => ({
  region: row.region,
  imageId: row.image_id,
  partnerUid: row.partner_uid,
  cloudId: row.cloud_id,
  sizeBytes: row.size_bytes,
  state: row.state,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const record = (
  trx: Trx,
  row: PartnerImageRow,
  { outcome, actor, now }: { outcome: string; actor: 'partner' | 'broker'; now: number },
): Promise<void> =>
  appendAudit(
    trx,
    {
      kind: 'image',
      actor,
      partner: row.cloud_id,
      subject: row.image_id,
      outcome,
      rule: null,
      requestId: null,
      details: { region: row.region, size_bytes: row.size_bytes },
    },
    now,
  );

export function createPartnerImages(db: Database, clock: Clock): PartnerImages {
  const rowOf = (from: Pick<Trx, 'selectFrom'>, { region, imageId }: PartnerImageKey) =>
    from
      .selectFrom('partner_images')
      .selectAll()
      .where('region', '=', region)
      .where('image_id', '=', imageId)
      .executeTakeFirst();

  const update = (trx: Pick<Trx, 'updateTable'>, { region, imageId }: PartnerImageKey, set: Partial<PartnerImageRow>) =>
    trx
      .updateTable('partner_images')
      .set({ updated_at: clock.now(), ...set })
      .where('region', '=', region)
      .where('image_id', '=', imageId);

  return {
    find: async (key) => {
      const row = await rowOf(db.reader, key);
      return row ? toPartnerImage(row) : null;
    },

    list: async ({ partnerUid, region } = {}) => {
      let rows = db.reader.selectFrom('partner_images').selectAll();
      if (partnerUid !== undefined) rows = rows.where('partner_uid', '=', partnerUid);
      if (region !== undefined) rows = rows.where('region', '=', region);
      return (await rows.orderBy('created_at').orderBy('image_id').execute()).map(toPartnerImage);
    },

    add: ({ uid, cloudId }, key, quota) =>
      db.write(async (trx) => {
        const known = await rowOf(trx, key);
        const now = clock.now();
        if (known?.partner_uid === uid) {
          await update(trx, key, { updated_at: now }).execute();
          return { fresh: false, updatedAt: now };
        }
        if (known) throw new AllianceError('image_conflict', { field: 'id', details: 'The id is taken.' });
        const { images } = await usedBy(trx, uid);
        if (images >= quota.images)
          throw new AllianceError('image_quota', { details: `${cloudId} has ${images} images of ${quota.images}.` });
        const row: PartnerImageRow = {
          region: key.region,
          image_id: key.imageId,
          partner_uid: uid,
          cloud_id: cloudId,
          size_bytes: 0,
          state: 'open',
          created_at: now,
          updated_at: now,
        };
        await trx.insertInto('partner_images').values(row).execute();
        await record(trx, row, { outcome: 'asked', actor: 'partner', now });
        return { fresh: true, updatedAt: now };
      }),

    reserve: (key, sizeBytes, quota) =>
      db.write(async (trx) => {
        const row = await rowOf(trx, key);
        if (!row) throw new AllianceError('image_not_found');
        if (row.state === 'stored') throw new AllianceError('image_conflict', { details: 'It has its content.' });
        const { bytes } = await usedBy(trx, row.partner_uid);
        // Another process may be at it still, with what was set apart before.
        const isYoung = clock.now() - row.updated_at < touchMs + uploadIdleMs;
        const apart = isYoung ? Math.max(sizeBytes, row.size_bytes) : sizeBytes;
        assertRoom(row, bytes - row.size_bytes + apart, quota);
        await update(trx, key, { size_bytes: apart }).execute();
      }),

    stored: (key, sizeBytes) =>
      db.write(async (trx) => {
        const row = await update(trx, key, {
          state: 'stored',
          ...(sizeBytes !== undefined && { size_bytes: sizeBytes }),
        })
          .where('state', '=', 'open')
          .returningAll()
          .executeTakeFirst();
        if (row) await record(trx, row, { outcome: 'stored', actor: 'partner', now: clock.now() });
        return row !== undefined || (await rowOf(trx, key)) !== undefined;
      }),

    touch: async (key) => {
      await update(db.light.writer, key, {}).execute();
    },

    forget: ({ region, imageId }, reason, updatedAt) =>
      db.write(async (trx) => {
        let rows = trx.deleteFrom('partner_images').where('region', '=', region).where('image_id', '=', imageId);
        if (updatedAt !== undefined) rows = rows.where('updated_at', '=', updatedAt);
        const row = await rows.returningAll().executeTakeFirst();
        const actor = reason === 'deleted' ? 'partner' : 'broker';
        if (row) await record(trx, row, { outcome: reason, actor, now: clock.now() });
        return row !== undefined;
      }),
  };
}

async function usedBy(trx: Trx, uid: PartnerImageRow['partner_uid']): Promise<ImageQuota> {
  const { images, bytes } = await trx
    .selectFrom('partner_images')
    .select((eb) => [eb.fn.countAll<number>().as('images'), eb.fn.sum<number | null>('size_bytes').as('bytes')])
    .where('partner_uid', '=', uid)
    .executeTakeFirstOrThrow();
  return { images: Number(images), bytes: Number(bytes ?? 0) };
}

function assertRoom({ cloud_id: cloudId }: PartnerImageRow, bytes: number, quota: ImageQuota): void {
  const details = `${cloudId} would have ${bytes} bytes of ${quota.bytes}.`;
  if (bytes > quota.bytes) throw new AllianceError('image_quota', { field: 'size', details });
}
