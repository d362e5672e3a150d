/** The stored feed. Sequences come from a counter in the same transaction, so that none becomes visible after a higher one did. */
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { storeLimits } from '../core/limits.ts';
import { increase, readCounter, setCounter } from './counters.ts';
import type { Database } from './database.ts';
import type { Feed, FeedPage, FeedQuery } from './feed.ts';
import { FeedWaiters } from './feedWaiters.ts';

export function createFeed(db: Database, clock: Clock): Feed & { close(): void } {
  const waiters = new FeedWaiters(() => readCounter(db.reader, 'feed_head'));

  const read = async (query: FeedQuery): Promise<FeedPage> => {
    const { after, subjects } = query;
    if (!Number.isSafeInteger(after) || after < 0)
      throw new AllianceError('bad_request', { field: 'after', details: 'after is a sequence of the feed, or 0.' });
    const limit = Math.max(1, Math.min(query.limit ?? storeLimits.feedPageRows, storeLimits.feedPageRows));
    // In this order: what is appended or cut away meanwhile is then either not looked at or shows as a gap.
    const head = await readCounter(db.reader, 'feed_head');
    let rows = db.reader.selectFrom('feed').selectAll().where('seq', '>', after).where('seq', '<=', head);
    if (subjects) rows = rows.where('subject', 'in', subjects.length > 0 ? [...subjects] : ['']);
    const found = await rows.orderBy('seq').limit(limit).execute();
    const cut = await readCounter(db.reader, 'feed_cut');

    const entries = found.map((row) => ({ ...row, payload: JSON.parse(row.payload) as unknown }));
    const next = entries.length === limit ? entries[limit - 1]!.seq : head;
    // A reader ahead of the feed has read a feed that was since replaced by an older copy.
    return { entries, next, head, gap: after < cut || after > head };
  };

  const appendAll: Feed['appendAll'] = async (subject, payloads) => {
    const texts = payloads.map((payload) => JSON.stringify(payload));
    const subjectBytes = Buffer.byteLength(subject);
    if (subjectBytes < 1 || subjectBytes > storeLimits.feedSubjectBytes)
      throw new AllianceError('bad_request', { field: 'subject', details: 'A subject has 1 to 255 bytes.' });
    if (texts.some((text) => Buffer.byteLength(text) > storeLimits.feedPayloadBytes))
      throw new AllianceError('bad_request', { field: 'payload', details: 'The payload is too large for the feed.' });
    const last = await db.write(async (trx) => {
      const head = await increase(trx, 'feed_head', texts.length);
      const first = head - texts.length + 1;
      for (const [index, payload] of texts.entries())
        await trx
          .insertInto('feed')
          .values({ seq: first + index, subject, payload, at: clock.now() })
          .execute();
      return head;
    });
    waiters.announce(last);
    return last;
  };

  return {
    read,

    append: (subject, payload) => appendAll(subject, [payload]),
    appendAll,

    wait: async ({ timeoutMs = storeLimits.feedWaitMs, signal, ...query }) => {
      const deadline = performance.now() + Math.min(timeoutMs, storeLimits.feedWaitMs);
      let scanned = query.after;
      for (;;) {
        signal?.throwIfAborted();
        const page = await read({ ...query, after: scanned });
        const remainingMs = deadline - performance.now();
        if (page.entries.length > 0 || page.gap || remainingMs <= 0) return page;
        scanned = page.next;
        await waiters.wait(scanned, remainingMs, signal);
      }
    },

    prune: ({ olderThan, keepRows }) =>
      db.write(async (trx) => {
        const before = await readCounter(trx, 'feed_cut');
        let cut = before;
        if (keepRows !== undefined) cut = Math.max(cut, (await readCounter(trx, 'feed_head')) - keepRows);
        if (olderThan !== undefined) {
          const { seq } = await trx
            .selectFrom('feed')
            .select((eb) => eb.fn.max('seq').as('seq'))
            .where('at', '<', olderThan)
            .executeTakeFirstOrThrow();
          cut = Math.max(cut, Number(seq ?? 0));
        }
        if (cut === before) return 0;
        const { numDeletedRows } = await trx.deleteFrom('feed').where('seq', '<=', cut).executeTakeFirstOrThrow();
        await setCounter(trx, 'feed_cut', cut);
        return Number(numDeletedRows);
      }),

    close: () => waiters.close(),
  };
}
