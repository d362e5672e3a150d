/** What time has ended. In several transactions, so that nobody waits long for the lock. */
import { storeLimits } from '../core/limits.ts';
import { recordExpiries } from './auditActs.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import type { Executions } from './execution.ts';
import type { ExecutionLog } from './executionLog.ts';
import type { Feed } from './feed.ts';
import { endOwnOverlap } from './identityRecords.ts';
import { endOverlaps } from './partnerKeys.ts';
import type { Provisions } from './provision.ts';
import type { Replays } from './replay.ts';
import { pruneSessions } from './sessions.ts';

interface Nouns {
  readonly feed: Feed;
  readonly replays: Replays;
  readonly provisions: Provisions;
  readonly executions: Executions;
  readonly executionLog: ExecutionLog;
}

export async function pruneStore(
  db: Database,
  { feed, replays, provisions, executions, executionLog }: Nouns,
  now: number,
): Promise<void> {
  await db.write(async (trx) => {
    const expired = await trx
      .updateTable('partners')
      .set({ state: 'expired', updated_at: now })
      // A suspended one counts as expired by its time alone, and stays suspended for when it is renewed.
      .where('state', '=', 'active')
      .where('trust_till', '<=', now)
      .returning('cloud_id')
      .execute();
    if (expired.length > 0) await bumpTrustEpoch(trx);
    await recordExpiries(
      trx,
      expired.map(({ cloud_id }) => cloud_id),
      now,
    );
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
  await provisions.prune(now);
  await executions.endBroken(now);
  await executions.prune(now);
  await executionLog.prune();
  await feed.prune({ olderThan: now - storeLimits.feedKeepMs, keepRows: storeLimits.feedRows });
}
