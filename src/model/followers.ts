/** The stored followers. */
import type { Selectable } from 'kysely';
import type { Database } from './database.ts';
import type { Follower, Followers } from './follower.ts';
import type { Tables } from './tables.ts';

const toFollower = (row: Selectable<Tables['followers']>): Follower => ({
  partnerUid: row.partner_uid,
  cursor: row.cursor,
  head: row.head,
  confirmedAt: row.confirmed_at,
  lastError: row.last_error,
  updatedAt: row.updated_at,
});

export function createFollowers(db: Database): Followers {
  return {
    list: async () => (await db.reader.selectFrom('followers').selectAll().execute()).map(toFollower),

    get: async (partnerUid) => {
      const row = await db.reader
        .selectFrom('followers')
        .selectAll()
        .where('partner_uid', '=', partnerUid)
        .executeTakeFirst();
      return row ? toFollower(row) : null;
    },

    save: (followers) =>
      db.write(async (trx) => {
        for (const { partnerUid, cursor, head, confirmedAt, lastError, updatedAt } of followers) {
          const values = { cursor, head, confirmed_at: confirmedAt, last_error: lastError, updated_at: updatedAt };
          const known = await trx.selectFrom('partners').select('uid').where('uid', '=', partnerUid).executeTakeFirst();
          if (!known) continue;
          await trx
            .insertInto('followers')
            .values({ partner_uid: partnerUid, ...values })
            .onConflict((oc) => oc.column('partner_uid').doUpdateSet(values))
            .execute();
        }
      }),
  };
}
