/** The stored mappings of partners' users. */

import { createHash } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import type { CloudId } from '../core/ids.ts';
import { appendAudit } from './auditChain.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import type { Mappings, StoredMapping } from './mapping.ts';
import type { Tables } from './tables.ts';

export function createMappings(db: Database, clock: Clock): Mappings {
  return {
    get: async (partnerUid) => {
      const row = await db.reader
        .selectFrom('mappings')
        .selectAll()
        .where('partner_uid', '=', partnerUid)
        .executeTakeFirst();
      return row ? toMapping(row) : null;
    },

    set: (partnerUid, rules) =>
      db.write(async (trx) => {
        await trx.deleteFrom('mappings').where('partner_uid', '=', partnerUid).execute();
        const row = { partner_uid: partnerUid, rules: rules ?? '', updated_at: clock.now() };
        if (rules !== null) await trx.insertInto('mappings').values(row).execute();
        const { cloud_id: partner } = await trx
          .selectFrom('partners')
          .select('cloud_id')
          .where('uid', '=', partnerUid)
          .executeTakeFirstOrThrow();
        await bumpTrustEpoch(trx);
        await recordMapping(trx, { partner, rules, now: clock.now() });
      }),

    list: async () =>
      (await db.reader.selectFrom('mappings').selectAll().orderBy('partner_uid').execute()).map(toMapping),
  };
}

/** Which rules they were can be told by their hash; the rules themselves stay here. */
const recordMapping = (
  trx: Transaction<Tables>,
  { partner, rules, now }: { partner: CloudId; rules: string | null; now: number },
): Promise<void> =>
  appendAudit(
    trx,
    {
      kind: 'configuration',
      actor: 'operator',
      partner,
      subject: 'mapping',
      outcome: rules === null ? 'removed' : 'set',
      rule: null,
      requestId: null,
      details: rules === null ? {} : { sha256: createHash('sha256').update(rules).digest('hex') },
    },
    now,
  );

const toMapping = (row: Tables['mappings']): StoredMapping => ({
  partnerUid: row.partner_uid,
  rules: row.rules,
  updatedAt: row.updated_at,
});
