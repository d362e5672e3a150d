/**
 * Restores that skipped numbers of the audit and that this cloud has not signed yet. The note of one is sealed by the keyring, which
 * the database does not hold: whoever writes to the database alone can pretend none.
 */
import type { Kysely, Transaction } from 'kysely';
import type { Keyring } from '../crypto/keyring.ts';
import type { AuditHead } from './audit.ts';
import type { Tables } from './tables.ts';

const prefix = 'audit_restored_';
const aadOf = (key: string) => ['settings', key, 'value', ''];

/** In the transaction of the restore, after its record. */
export async function noteRestore(trx: Transaction<Tables>, keyring: Keyring): Promise<void> {
  const { seq, hash } = await trx
    .selectFrom('audit_head')
    .select(['seq', 'hash'])
    .where('id', '=', 1)
    .executeTakeFirstOrThrow();
  const key = `${prefix}${seq}`;
  const value = keyring.seal(hash, aadOf(key)).toString('base64');
  await trx.insertInto('settings').values({ key, value }).execute();
}

/** Number and hash of their records. One that another keyring sealed, or nobody, is none. */
export async function unsignedRestores(db: Kysely<Tables>, keyring: Keyring): Promise<AuditHead[]> {
  const rows = await db
    .selectFrom('settings')
    .selectAll()
    .where('key', '>=', prefix)
    .where('key', '<', `${prefix}~`)
    .execute();
  return rows.flatMap(({ key, value }) => {
    try {
      const hash = keyring.open(Buffer.from(value, 'base64'), aadOf(key));
      return [{ seq: Number(key.slice(prefix.length)), hash: Buffer.from(hash) }];
    } catch {
      return [];
    }
  });
}
