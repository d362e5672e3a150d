import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../../src/core/errors.ts';
import { createLogger } from '../../../src/core/log.ts';
import type { RevocationEvent } from '../../../src/lproxy/keystoneRevocations.ts';
import type { Store } from '../../../src/model/store.ts';
import { RevocationMarks } from '../../../src/token/revocation/marks.ts';
import { ownTokens, RevocationSource } from '../../../src/token/revocation/source.ts';
import { rejection } from '../../support/errors.ts';
import { auditEvent, tokenOf } from '../../support/revocations.ts';
import { createTestClock, createTestFile, type TestFile } from '../../support/store.ts';
import { until } from '../../support/until.ts';

/** A Keystone that keeps events, answers as the real one does, and can be away. */
class Events {
  readonly all: RevocationEvent[] = [];
  readonly sinces: (number | null)[] = [];
  away = false;
  readonly revocationEvents = async (since: number | null): Promise<RevocationEvent[]> => {
    this.sinces.push(since);
    if (this.away) throw new AllianceError('keystone_unreachable');
    return this.all
      .filter(({ revokedAt }) => since === null || revokedAt > since)
      .sort((a, b) => a.revokedAt - b.revokedAt);
  };
}

const log = createLogger({ level: 'silent' });

describe('revocations of this cloud', () => {
  let file: TestFile;
  let store: Store;
  let clock: ReturnType<typeof createTestClock>;
  let keystone: Events;
  let marks: RevocationMarks;
  const running: RevocationSource[] = [];
  let isConsumer = true;

  const open = async (at = store): Promise<RevocationSource> => {
    const view = {
      partners: [{ role: isConsumer ? 'consumer' : 'provider' }] as never,
      stateOf: () => 'active' as const,
    };
    const pauses = { pollMs: 1, pollMinPauseMs: 0 };
    const source = new RevocationSource({ keystone, store: at, view, marks, clock, log, pauses });
    await source.start();
    running.push(source);
    return source;
  };
  const close = async (source: RevocationSource): Promise<void> => {
    running.splice(running.indexOf(source), 1);
    await source.stop();
  };
  /** Everything that happened before is in the feed, unless Keystone is away. */
  const polled = async (): Promise<void> => {
    const before = keystone.sinces.length;
    await until('two more questions to Keystone', () => keystone.sinces.length >= before + 2);
  };
  const told = async (): Promise<RevocationEvent[]> => {
    const { entries } = await store.feed.read({ after: 0, subjects: ['revocation'] });
    return entries.map(({ payload }) => payload as RevocationEvent);
  };

  beforeEach(async () => {
    clock = createTestClock();
    file = createTestFile(clock);
    store = await file.open();
    keystone = new Events();
    marks = new RevocationMarks(clock);
    isConsumer = true;
  });
  afterEach(async () => {
    for (const source of [...running]) await close(source);
    await file.remove();
  });

  it('of Keystone and our own are told once each, through outages and restarts, whatever the order', async function () {
    this.timeout(60_000);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('revoke' as const), audit: fc.nat(30), lateMs: fc.nat(50_000), own: fc.boolean() }),
      fc.record({ kind: fc.constant('wide' as const), user: fc.nat(3), lateMs: fc.nat(50_000) }),
      fc.record({ kind: fc.constantFrom('restart' as const, 'away' as const, 'back' as const, 'poll' as const) }),
      fc.record({ kind: fc.constant('later' as const), ms: fc.nat(1_000_000) }),
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        round += 1;
        keystone.away = false;
        let source = await open();
        for (const each of steps) {
          const second = (ms: number): number => Math.floor(ms / 1000) * 1000;
          if (each.kind === 'revoke') {
            const auditId = `a${round}-${each.audit}`;
            if (keystone.all.some((event) => event.auditId === auditId)) continue;
            keystone.all.push(auditEvent(auditId, second(clock.now() - each.lateMs)));
            if (each.own) await source.append([auditEvent(auditId, clock.now())]);
          } else if (each.kind === 'wide') {
            const at = second(clock.now() - each.lateMs);
            const event = { revokedAt: at, issuedBefore: at, userId: `u${round}-${each.user}` };
            if (keystone.all.some((known) => JSON.stringify(known) === JSON.stringify(event))) continue;
            keystone.all.push(event);
          } else if (each.kind === 'restart') {
            await close(source);
            source = await open();
          } else if (each.kind === 'later') {
            // What happened until now has been read before so much time passes: events do not come later than the overlap.
            keystone.away = false;
            source.poke();
            await polled();
            clock.advance(each.ms);
          } else if (each.kind === 'poll') {
            if (!keystone.away) await polled();
          } else keystone.away = each.kind === 'away';
        }
        keystone.away = false;
        source.poke();
        await polled();
        const names = (events: RevocationEvent[]) =>
          events.map((event) => event.auditId ?? `${event.userId} ${event.revokedAt}`).sort();
        expect(names(await told())).to.deep.equal(names(keystone.all));
        expect(source.head).to.equal((await store.feed.read({ after: 0 })).head);
        await close(source);
      }),
      { numRuns: 40 },
    );
  });

  it('several processes of a broker tell each once, and all of them know how old that is', async () => {
    const another = await file.open();
    const [one, two] = [await open(), await open(another)];
    keystone.all.push(auditEvent('a', clock.now()), auditEvent('b', clock.now()));
    await polled();
    expect((await told()).map(({ auditId }) => auditId)).to.deep.equal(['a', 'b']);
    for (const source of [one, two]) {
      await until('an age', async () => (await source.read({ after: -1, waitMs: 0, limit: 1 })).ageMs !== null);
      await until('the head', () => source.head === 2);
    }
    await close(one);
    keystone.all.push(auditEvent('c', clock.now()));
    await until('the other one goes on', async () => (await told()).length === 3);
    expect((await told()).map(({ auditId }) => auditId)).to.deep.equal(['a', 'b', 'c']);
  });

  it('end the knowledge of the token here, in every process', async () => {
    const another = await file.open();
    await open();
    keystone.all.push(auditEvent('a', clock.now()));
    await until('the mark', () => marks.isRevoked(ownTokens, tokenOf('a', clock.now())));
    marks = new RevocationMarks(clock);
    const two = await open(another);
    await running[0]!.append([auditEvent('b', clock.now())]);
    await until('the mark', () => marks.isRevoked(ownTokens, tokenOf('b', clock.now())));
    expect(two.head).to.equal(2);
  });

  it('wait for readers, page by page, and tell of a gap only who read before it', async () => {
    const source = await open();
    const nothing = await source.read({ after: 0, waitMs: 20, limit: 10 });
    expect(nothing).to.deep.include({ revocations: [], next: 0, head: 0, gap: false });
    const waiting = source.read({ after: 0, waitMs: 5000, limit: 10 });
    await source.append(['a', 'b', 'c'].map((each) => auditEvent(each, clock.now())));
    expect((await waiting).revocations.map(({ event }) => event.auditId)).to.deep.equal(['a', 'b', 'c']);
    const page = await source.read({ after: 1, waitMs: 0, limit: 1 });
    expect(page).to.deep.include({ next: 2, head: 3, gap: false });
    await store.feed.prune({ keepRows: 1 });
    expect(await source.read({ after: 1, waitMs: 0, limit: 9 })).to.deep.include({ gap: true, head: 3 });
    expect(await source.read({ after: 0, waitMs: 0, limit: 9 })).to.deep.include({ gap: false, head: 3 });
    expect(await source.read({ after: 9, waitMs: 0, limit: 9 })).to.deep.include({ gap: true });
    expect(await source.read({ after: -1, waitMs: 0, limit: 9 })).to.deep.include({ revocations: [], next: 3 });
  });

  it('readers that wait hear of the end at once', async () => {
    const source = await open();
    const waiting = rejection(source.read({ after: 0, waitMs: 30_000, limit: 10 }), 'shutting_down');
    await close(source);
    await waiting;
  });

  it('are not asked for while nobody may want them, and a question is not the same twice', async () => {
    isConsumer = false;
    const idle = await open();
    await idle.append([auditEvent('a', clock.now())]);
    expect(keystone.sinces).to.deep.equal([]);
    expect((await idle.read({ after: 0, waitMs: 0, limit: 9 })).ageMs).to.equal(null);
    await close(idle);
    isConsumer = true;
    keystone.all.push(auditEvent('b', clock.now()));
    await open();
    await polled();
    await polled();
    const sinces = keystone.sinces.filter((since) => since !== null);
    expect(new Set(sinces).size).to.equal(sinces.length).above(1);
  });

  it('a clock of Keystone that is far ahead hides nothing of the others', async () => {
    await open();
    keystone.all.push(auditEvent('ahead', clock.now() + 3_600_000));
    await polled();
    keystone.all.push(auditEvent('right', clock.now()));
    await until('the event', async () => (await told()).some(({ auditId }) => auditId === 'right'));
  });
});
