/** What time has ended. In several transactions, so that nobody waits long for the lock. */
import { storeLimits } from '../core/limits.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import type { Feed } from './feed.ts';
import { endOwnOverlap } from './identityRecords.ts';
import { endOverlaps } from './partnerKeys.ts';
import type { Replays } from './replay.ts';
import { pruneSessions } from './sessions.ts';

export async function pruneStore(
  db: Database,
  { feed, replays }: { feed: Feed; replays: Replays },
  now: number,
): Promise<void> {
  await db.write(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('partners')
      .set({ state: 'expired', updated_at: now })
      // A suspended one counts as expired by its time alone, and stays suspended for when it is renewed.
      .where('state', '=', 'active')
      .where('trust_till', '<=', now)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows > 0n) await bumpTrustEpoch(trx);
    await endOverlaps(trx, now);
    await endOwnOverlap(trx, now);
    // A partner that cannot be told for so long has found out by itself.
    await trx
      .deleteFrom('partners')
      .where('removed', '=', 1)
      .where('updated_at', '<=', now - storeLimits.noticeMs)
      .execute();
  });
  await db.light.write(async (trx) => {
    await pruneSessions(trx, now);
    await trx.deleteFrom('invitations').where('expires_at', '<=', now).execute();
    await trx.deleteFrom('leases').where('till', '<=', now).execute();
  });
  await replays.prune(now);
  await feed.prune({ olderThan: now - storeLimits.feedKeepMs, keepRows: storeLimits.feedRows });
}
