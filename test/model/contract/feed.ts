/** What every engine must do about the feed. */
import { expect } from 'chai';
import fc from 'fast-check';
import { storeLimits } from '../../../src/core/limits.ts';
import { rejection } from '../../support/errors.ts';
import { testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

export function describeFeed(bench: Bench): void {
  const append = async (...subjects: string[]): Promise<void> => {
    for (const subject of subjects) await bench.store.feed.append(subject, { of: subject });
  };
  const subjectsOf = (page: { entries: readonly { subject: string }[] }): string[] =>
    page.entries.map((e) => e.subject);

  describe('feed', () => {
    it('gives back what was appended, in order, from a cursor on', async () => {
      const { feed } = bench.store;
      expect(await feed.read({ after: 0 })).to.deep.equal({ entries: [], next: 0, head: 0, gap: false });
      expect(await feed.append('a', { deep: [1, 'ü'] })).to.equal(1);
      await append('b', 'c');
      const all = await feed.read({ after: 0 });
      expect(all.entries[0]).to.deep.equal({ seq: 1, subject: 'a', payload: { deep: [1, 'ü'] }, at: testStart });
      expect(all).to.include({ next: 3, head: 3, gap: false });
      expect(subjectsOf(await feed.read({ after: 1 }))).to.deep.equal(['b', 'c']);
      expect(await feed.read({ after: 3 })).to.deep.equal({ entries: [], next: 3, head: 3, gap: false });
    });

    it('read page by page, for any subjects and any page size, misses nothing and repeats nothing', async () => {
      const { feed } = bench.store;
      const written: string[] = [];
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 }),
          fc.subarray(['a', 'b', 'c']),
          fc.integer({ min: 1, max: 5 }),
          async (more, wanted, limit) => {
            written.push(...more);
            await append(...more);
            const seen: number[] = [];
            for (let after = 0; ; ) {
              const page = await feed.read({ after, subjects: wanted, limit });
              seen.push(...page.entries.map(({ seq }) => seq));
              after = page.next;
              if (page.next === page.head) break;
            }
            const expected = written.flatMap((subject, i) => (wanted.includes(subject) ? [i + 1] : []));
            expect(seen).to.deep.equal(expected);
          },
        ),
        { numRuns: 25 },
      );
    });

    it('takes several at once, in their order, all or none', async () => {
      const { feed } = bench.store;
      await append('a');
      expect(await feed.appendAll('b', [{ n: 1 }, { n: 2 }, { n: 3 }])).to.equal(4);
      const { entries, head } = await feed.read({ after: 1 });
      expect(entries.map(({ seq, payload }) => [seq, payload])).to.deep.equal([
        [2, { n: 1 }],
        [3, { n: 2 }],
        [4, { n: 3 }],
      ]);
      const tooLarge = { text: 'x'.repeat(storeLimits.feedPayloadBytes) };
      await rejection(feed.appendAll('b', [{ n: 4 }, tooLarge]), 'bad_request');
      expect((await feed.read({ after: 0 })).head).to.equal(head);
    });

    it('has one sequence without gaps whoever appends', async () => {
      const stores = [bench.store, await bench.another()];
      const seqs = await Promise.all(Array.from({ length: 40 }, (_, i) => stores[i % 2]!.feed.append('x', { i })));
      expect(seqs.sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 40 }, (_, i) => i + 1));
    });

    it('wakes a waiting reader at once', async () => {
      const { feed } = bench.store;
      const startedAt = performance.now();
      const waiting = feed.wait({ after: 0, timeoutMs: 10_000 });
      await append('a');
      expect(subjectsOf(await waiting)).to.deep.equal(['a']);
      expect(performance.now() - startedAt).to.be.lessThan(storeLimits.feedPollMs);
    });

    it('wakes a reader for what another process appended', async () => {
      const other = await bench.another();
      const waiting = bench.store.feed.wait({ after: 0, timeoutMs: 10_000 });
      await other.feed.append('a', {});
      expect(subjectsOf(await waiting)).to.deep.equal(['a']);
    });

    it('lets a reader wait on through subjects that it does not want', async () => {
      const { feed } = bench.store;
      const waiting = feed.wait({ after: 0, subjects: ['b'], timeoutMs: 10_000 });
      await append('a');
      await append('b');
      const page = await waiting;
      expect(subjectsOf(page)).to.deep.equal(['b']);
      expect(page.next).to.equal(2);
    });

    it('answers an empty page when the time is over, with a cursor past what was not wanted', async () => {
      const { feed } = bench.store;
      const waiting = feed.wait({ after: 0, subjects: ['b'], timeoutMs: 50 });
      await append('a');
      expect(await waiting).to.deep.equal({ entries: [], next: 1, head: 1, gap: false });
    });

    it('lets go of a reader that gives up or whose store closes', async () => {
      const { feed } = bench.store;
      const controller = new AbortController();
      const waiting = feed.wait({ after: 0, signal: controller.signal });
      const reason = new Error('client gone');
      controller.abort(reason);
      expect(await waiting.catch((error) => error)).to.equal(reason);
      expect(await feed.wait({ after: 0, signal: controller.signal }).catch((error) => error)).to.equal(reason);
      const last = feed.wait({ after: 0 });
      // Lets the wait read its empty page first.
      await feed.read({ after: 0 });
      const refused = rejection(last, 'shutting_down');
      await bench.store.close();
      await refused;
    });

    it('tells a reader behind the cut that it missed something, and only such a one', async () => {
      const { feed } = bench.store;
      await append('a', 'b', 'c', 'd');
      expect(await feed.prune({ keepRows: 2 })).to.equal(2);
      expect(await feed.prune({ keepRows: 2 })).to.equal(0);
      const behind = await feed.read({ after: 1 });
      expect(subjectsOf(behind)).to.deep.equal(['c', 'd']);
      expect(behind.gap).to.equal(true);
      expect((await feed.read({ after: 2 })).gap).to.equal(false);
      expect((await feed.wait({ after: 0, subjects: ['none'] })).gap).to.equal(true);
      expect(await feed.append('e', {})).to.equal(5);
    });

    it('forgets by age, also everything, and counts on', async () => {
      const { store, clock } = bench;
      await append('a', 'b');
      clock.advance(100);
      await append('c');
      expect(await store.feed.prune({ olderThan: testStart + 100 })).to.equal(2);
      expect(subjectsOf(await store.feed.read({ after: 2 }))).to.deep.equal(['c']);
      await store.prune(clock.advance(storeLimits.feedKeepMs + 1));
      expect(await store.feed.read({ after: 3 })).to.deep.equal({ entries: [], next: 3, head: 3, gap: false });
      expect((await store.feed.read({ after: 2 })).gap).to.equal(true);
      expect(await store.feed.append('d', {})).to.equal(4);
    });

    it('tells a reader ahead of it to resynchronise, and refuses what is no cursor, subject or payload', async () => {
      const { feed } = bench.store;
      await append('a');
      expect(await feed.read({ after: 2 })).to.include({ gap: true, next: 1 });
      for (const after of [-1, 0.5, Number.NaN, 2 ** 53]) await rejection(feed.read({ after }), 'bad_request');
      await rejection(feed.append('', {}), 'bad_request');
      await rejection(feed.append('x'.repeat(256), {}), 'bad_request');
      await rejection(feed.append('x', { big: 'x'.repeat(storeLimits.feedPayloadBytes) }), 'bad_request');
      expect((await feed.read({ after: 0 })).head).to.equal(1);
    });
  });
}
