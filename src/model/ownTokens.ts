/** The stored tokens of this cloud. */
import { sha256 } from '../crypto/bytes.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Database } from './database.ts';
import type { OwnTokenRecord, OwnTokens } from './ownToken.ts';

/** Absent while a process runs, and where one did not stop in order. */
export const leftKey = 'own_tokens_unsure_till';

/** Tells a row from others, and nothing of the token. */
const rowId = (key: Buffer): Buffer => sha256('alliance/1 own token', key);
const aadOf = (id: Buffer) => ['own_tokens', id.toString('hex'), 'key', ''];

export function createOwnTokens(db: Database, keyring: Keyring): OwnTokens {
  const open = (id: Buffer, key: Buffer): Buffer | undefined => {
    try {
      return keyring.open(key, aadOf(id));
    } catch {
      return undefined;
    }
  };
  return {
    takeUp: (since) =>
      db.write(async (trx) => {
        const left = await trx.selectFrom('settings').select('value').where('key', '=', leftKey).executeTakeFirst();
        await trx.deleteFrom('settings').where('key', '=', leftKey).execute();
        const rows = await trx.selectFrom('own_tokens').selectAll().where('expires_at', '>', since).execute();
        const tokens: OwnTokenRecord[] = [];
        for (const { id, key, expires_at } of rows) {
          const opened = open(id, key);
          if (opened) tokens.push({ key: opened, expiresAt: expires_at });
        }
        const isWhole = left !== undefined && tokens.length === rows.length;
        return { tokens, unsureTill: isWhole ? Number(left.value) : null };
      }),

    add: (tokens, since) =>
      db.write(async (trx) => {
        await trx.deleteFrom('own_tokens').where('expires_at', '<=', since).execute();
        for (const { key, expiresAt } of tokens) {
          const id = rowId(key);
          await trx
            .insertInto('own_tokens')
            .values({ id, key: keyring.seal(key, aadOf(id)), expires_at: expiresAt })
            .onConflict((oc) => oc.column('id').doNothing())
            .execute();
        }
      }),

    leave: async (unsureTill) => {
      const value = String(unsureTill);
      await db.writer
        .insertInto('settings')
        .values({ key: leftKey, value })
        .onConflict((oc) => oc.column('key').doUpdateSet({ value }))
        .execute();
    },
  };
}
