/**
 * What a look at the audit leaves for later ones. Sealed by the keyring, which the database does not hold: whoever writes to the database
 * alone can remove a note or put back an older one, and make up none.
 */
import type { Keyring } from '../crypto/keyring.ts';
import type { AuditNote } from './audit.ts';
import type { Database } from './database.ts';

const keyOf = (note: AuditNote) => `audit_note_${note}`;
const aadOf = (note: AuditNote) => ['settings', keyOf(note), 'value', ''];

export async function keepNote(db: Database, keyring: Keyring, note: AuditNote, content: object): Promise<void> {
  const value = keyring.seal(Buffer.from(JSON.stringify(content)), aadOf(note)).toString('base64');
  await db.writer
    .insertInto('settings')
    .values({ key: keyOf(note), value })
    .onConflict((oc) => oc.column('key').doUpdateSet({ value }))
    .execute();
}

/** Undefined where there is none, or another keyring sealed it, or nobody. */
export async function readNote({ reader }: Database, keyring: Keyring, note: AuditNote): Promise<unknown> {
  const row = await reader.selectFrom('settings').select('value').where('key', '=', keyOf(note)).executeTakeFirst();
  if (!row) return undefined;
  try {
    return JSON.parse(keyring.open(Buffer.from(row.value, 'base64'), aadOf(note)).toString());
  } catch {
    return undefined;
  }
}
