/** The stored tokens of this cloud. */
import { setImmediate } from 'node:timers/promises';
import type { Transaction } from 'kysely';
import { hintLimits } from '../core/limits.ts';
import { sha256 } from '../crypto/bytes.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Database } from './database.ts';
import type { OwnTokenRecord, OwnTokens } from './ownToken.ts';
import type { Tables } from './tables.ts';

/** Absent while a process runs, and where one did not stop in order. */
export const leftKey = 'own_tokens_unsure_till';

const keyBytes = 32;

/** Tells a row from others, and nothing of the token. */
const rowId = (key: Buffer): Buffer => sha256('alliance/1 own token', key);
const aadOf = (id: Buffer) => ['own_tokens', id.toString('hex'), 'key', ''];

/** Keeps those that end last. Returns whether others had to go. */
async function cut(trx: Transaction<Tables>, most: number): Promise<boolean> {
  const first = await trx
    .selectFrom('own_tokens')
    .select(['expires_at', 'id'])
    .orderBy('expires_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .offset(most)
    .executeTakeFirst();
  if (!first) return false;
  const { expires_at: at, id } = first;
  await trx.deleteFrom('own_tokens').where('expires_at', '<', at).execute();
  await trx.deleteFrom('own_tokens').where('expires_at', '=', at).where('id', '<=', id).execute();
  return true;
}

const deleteUntil = (trx: Transaction<Tables>, since: number) =>
  trx.deleteFrom('own_tokens').where('expires_at', '<=', since).execute();

export function createOwnTokens(db: Database, keyring: Keyring): OwnTokens {
  const open = (row: Tables['own_tokens']): OwnTokenRecord[] => {
    try {
      const opened = keyring.open(row.key, aadOf(row.id));
      const auditId = opened.subarray(keyBytes).toString() || undefined;
      return [{ key: opened.subarray(0, keyBytes), expiresAt: row.expires_at, auditId }];
    } catch {
      return [];
    }
  };
  return {
    takeUp: async (since, most) => {
      const { left, wasCut, rows } = await db.write(async (trx) => {
        const left = await trx.selectFrom('settings').select('value').where('key', '=', leftKey).executeTakeFirst();
        await trx.deleteFrom('settings').where('key', '=', leftKey).execute();
        await deleteUntil(trx, since);
        const wasCut = await cut(trx, most);
        return { left, wasCut, rows: await trx.selectFrom('own_tokens').selectAll().execute() };
      });
      const tokens: OwnTokenRecord[] = [];
      for (const [at, row] of rows.entries()) {
        tokens.push(...open(row));
        if (at % hintLimits.openedAtOnce === 0) await setImmediate();
      }
      const isWhole = left !== undefined && !wasCut && tokens.length === rows.length;
      return { tokens, unsureTill: isWhole ? Number(left.value) : null };
    },

    add: (tokens, { since, most }) =>
      db.write(async (trx) => {
        await deleteUntil(trx, since);
        for (const { key, expiresAt, auditId } of tokens) {
          const id = rowId(key);
          const sealed = keyring.seal(Buffer.concat([key, Buffer.from(auditId ?? '')]), aadOf(id));
          await trx
            .insertInto('own_tokens')
            .values({ id, key: sealed, expires_at: expiresAt })
            .onConflict((oc) => oc.column('id').doNothing())
            .execute();
        }
        await cut(trx, most);
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
