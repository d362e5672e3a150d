/** Sealed columns as a whole: whether the keyring fits this database, and sealing anew. */
import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import { AllianceError } from '../core/errors.ts';
import { storeLimits } from '../core/limits.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { appendChecked, checkEntry, restoredEntry } from './auditChain.ts';
import { increase, setCounter } from './counters.ts';
import type { Database } from './database.ts';
import { invitationAad } from './invitations.ts';
import { sessionAad } from './sessions.ts';
import type { Tables } from './tables.ts';

/** A sealed value that everybody can open who has the right keyring. */
const probeKey = 'sealed_probe';
const probeAad = ['settings', probeKey, 'value', ''];

/** Throws seal_broken when this keyring did not seal this database; the first keyring that comes is the right one. */
export async function checkSeal(db: Database, keyring: Keyring): Promise<void> {
  await db.writer
    .insertInto('settings')
    .values({ key: probeKey, value: newProbe(keyring) })
    .onConflict((oc) => oc.column('key').doNothing())
    .execute();
  const { value } = await db.reader
    .selectFrom('settings')
    .select('value')
    .where('key', '=', probeKey)
    .executeTakeFirstOrThrow();
  try {
    keyring.open(Buffer.from(value, 'base64'), probeAad);
  } catch (cause) {
    throw new AllianceError('seal_broken', {
      details: 'The key-encryption key is not the one of this database.',
      cause,
    });
  }
}

/** After a restore; see StoreOptions.restored. */
export async function startAnew(db: Database, keyring: Keyring, now: number): Promise<void> {
  await db.write(async (trx) => {
    await trx.deleteFrom('sessions').execute();
    await trx.deleteFrom('invitations').execute();
    await trx.deleteFrom('leases').execute();
    await trx.deleteFrom('settings').where('key', '=', probeKey).execute();
    await trx
      .insertInto('settings')
      .values({ key: probeKey, value: newProbe(keyring) })
      .execute();
    // Beyond every sequence that was given out after the backup was made, so that every reader sees a gap.
    const head = await increase(trx, 'feed_head', storeLimits.feedRestoreLeap);
    await trx.deleteFrom('feed').execute();
    await setCounter(trx, 'feed_cut', head);
    await increase(trx, 'trust_epoch', storeLimits.feedRestoreLeap);
    // Partners may hold heads of records that the backup does not have; a later one must not take their numbers.
    const { seq } = await trx.selectFrom('audit_head').select('seq').where('id', '=', 1).executeTakeFirstOrThrow();
    await appendChecked(trx, [checkEntry(restoredEntry(seq), now)], storeLimits.feedRestoreLeap);
  });
}

/** In one transaction, so that the older key is needed for all or for nothing. */
export async function resealAll(db: Database, keyring: Keyring): Promise<number> {
  return db.write(async (trx) => {
    await trx
      .updateTable('settings')
      .set({ value: newProbe(keyring) })
      .where('key', '=', probeKey)
      .execute();
    return (await resealSessions(trx, keyring)) + (await resealInvitations(trx, keyring));
  });
}

async function resealSessions(trx: Transaction<Tables>, keyring: Keyring): Promise<number> {
  let count = 0;
  for (const row of await trx.selectFrom('sessions').selectAll().execute())
    for (const column of ['secret', 'continuity'] as const) {
      const sealed = row[column];
      if (sealed === null || !keyring.isStale(sealed)) continue;
      const aad = sessionAad(row, column);
      await trx
        .updateTable('sessions')
        .set({ [column]: keyring.seal(keyring.open(sealed, aad), aad) })
        .where('direction', '=', row.direction)
        .where('sid', '=', row.sid)
        .execute();
      count++;
    }
  return count;
}

async function resealInvitations(trx: Transaction<Tables>, keyring: Keyring): Promise<number> {
  const rows = await trx.selectFrom('invitations').select(['id', 'kp']).execute();
  const stale = rows.filter(({ kp }) => keyring.isStale(kp));
  for (const { id, kp } of stale) {
    const aad = invitationAad(id);
    await trx
      .updateTable('invitations')
      .set({ kp: keyring.seal(keyring.open(kp, aad), aad) })
      .where('id', '=', id)
      .execute();
  }
  return stale.length;
}

const newProbe = (keyring: Keyring): string => keyring.seal(randomBytes(16), probeAad).toString('base64');
