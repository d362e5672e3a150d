/** Tickets that were seen: kept in the database, so that neither a restart nor another process lets one in twice. */
import type { CloudId } from '../core/ids.ts';
import type { Database } from './database.ts';

export interface Replays {
  /** False when this ticket was seen before. */
  insert(issuer: CloudId, jti: Buffer, keepTill: number): Promise<boolean>;
  /** Returns how many were forgotten. */
  prune(now: number): Promise<number>;
}

export function createReplays(db: Database): Replays {
  return {
    insert: async (issuer, jti, keepTill) => {
      const { numInsertedOrUpdatedRows } = await db.writer
        .insertInto('replays')
        .values({ issuer, jti, keep_till: keepTill })
        .onConflict((oc) => oc.columns(['issuer', 'jti']).doNothing())
        .executeTakeFirstOrThrow();
      return numInsertedOrUpdatedRows === 1n;
    },

    prune: async (now) => {
      const { numDeletedRows } = await db.writer
        .deleteFrom('replays')
        .where('keep_till', '<=', now)
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}
