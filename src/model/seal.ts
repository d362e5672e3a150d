/** Sealed columns as a whole: whether the keyring fits this database, and a start without them. */
import { randomBytes } from 'node:crypto';
import { AllianceError } from '../core/errors.ts';
import { storeLimits } from '../core/limits.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { appendChecked, checkEntry, restoredEntry } from './auditChain.ts';
import { noteRestore } from './auditRestores.ts';
import { increase, setCounter } from './counters.ts';
import type { Database } from './database.ts';
import { leftKey } from './ownTokens.ts';

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
    await trx.deleteFrom('own_tokens').execute();
    await trx.deleteFrom('settings').where('key', '=', leftKey).execute();
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
    await noteRestore(trx, keyring);
  });
}

const newProbe = (keyring: Keyring): string => keyring.seal(randomBytes(16), probeAad).toString('base64');
