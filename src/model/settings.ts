/** Small texts that outlive the process and belong to no other noun. */
import type { Database } from './database.ts';

export interface Settings {
  get(key: string): Promise<string | null>;
  /** null deletes it. */
  set(key: string, value: string | null): Promise<void>;
}

export function createSettings(db: Database): Settings {
  return {
    get: async (key) => {
      const row = await db.reader.selectFrom('settings').select('value').where('key', '=', key).executeTakeFirst();
      return row?.value ?? null;
    },

    set: async (key, value) => {
      if (value === null) await db.writer.deleteFrom('settings').where('key', '=', key).execute();
      else
        await db.writer
          .insertInto('settings')
          .values({ key, value })
          .onConflict((oc) => oc.column('key').doUpdateSet({ value }))
          .execute();
    },
  };
}
