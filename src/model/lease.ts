/** Leases: of several processes of one broker, one does the work. A holder that dies loses it by time. */
import type { Clock } from '../core/clock.ts';
import type { Database } from './database.ts';

export interface Leases {
  /** True when `holder` now has it, for ttlMs from now; a holder renews by acquiring again. */
  acquire(name: string, holder: string, ttlMs: number): Promise<boolean>;
  /** Who has it, or had it last; null: nobody. */
  holder(name: string): Promise<string | null>;
  /** Does nothing when another one holds it. */
  release(name: string, holder: string): Promise<void>;
}

export function createLeases(db: Database, clock: Clock): Leases {
  return {
    acquire: async (name, holder, ttlMs) => {
      const now = clock.now();
      const { numInsertedOrUpdatedRows } = await db.writer
        .insertInto('leases')
        .values({ name, holder, till: now + ttlMs })
        .onConflict((oc) =>
          oc
            .column('name')
            .doUpdateSet({ holder, till: now + ttlMs })
            .where((eb) => eb.or([eb('leases.till', '<=', now), eb('leases.holder', '=', holder)])),
        )
        .executeTakeFirstOrThrow();
      return numInsertedOrUpdatedRows === 1n;
    },

    holder: async (name) => {
      const row = await db.reader.selectFrom('leases').select('holder').where('name', '=', name).executeTakeFirst();
      return row?.holder ?? null;
    },

    release: async (name, holder) => {
      await db.writer.deleteFrom('leases').where('name', '=', name).where('holder', '=', holder).execute();
    },
  };
}
