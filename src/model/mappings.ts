/** The stored mappings of partners' users. */
import type { Clock } from '../core/clock.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import type { Mappings, StoredMapping } from './mapping.ts';
import type { Tables } from './tables.ts';

export function createMappings(db: Database, clock: Clock): Mappings {
  return {
    get: async (partnerUid) => {
      const row = await db.reader
        .selectFrom('mappings')
        .selectAll()
        .where('partner_uid', '=', partnerUid)
        .executeTakeFirst();
      return row ? toMapping(row) : null;
    },

    set: (partnerUid, rules) =>
      db.write(async (trx) => {
        await trx.deleteFrom('mappings').where('partner_uid', '=', partnerUid).execute();
        const row = { partner_uid: partnerUid, rules: rules ?? '', updated_at: clock.now() };
        if (rules !== null) await trx.insertInto('mappings').values(row).execute();
        await bumpTrustEpoch(trx);
      }),

    list: async () =>
      (await db.reader.selectFrom('mappings').selectAll().orderBy('partner_uid').execute()).map(toMapping),
  };
}

const toMapping = (row: Tables['mappings']): StoredMapping => ({
  partnerUid: row.partner_uid,
  rules: row.rules,
  updatedAt: row.updated_at,
});
