/** The stored audit. Acts without a transaction of their own share one for their records. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { auditLimits } from '../core/limits.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Audit, AuditEntry, AuditQuery, AuditRecord } from './audit.ts';
import { appendChecked, type CheckedEntry, checkEntry, toRecord } from './auditChain.ts';
import { createSeals } from './auditSeals.ts';
import { verifyChain } from './auditVerify.ts';
import type { Database } from './database.ts';

/** The last record of an act that others can make happen as often as they like. */
interface Noted {
  at: number;
  /** Equal acts since then, which have no record. */
  omitted: number;
  readonly stored: Promise<void>;
  /** What they have in common. */
  readonly act: Pick<AuditEntry, 'kind' | 'partner' | 'outcome' | 'subject'>;
}

/** What equal acts have in common: of what is read also which one it is, for copies of another one are another act. */
const actOf = ({ kind, partner, outcome, subject }: AuditEntry): Noted['act'] => {
  const isRead = kind === 'image' && outcome === 'read';
  return { kind, partner, outcome, subject: isRead ? subject : null };
};

interface Waiting {
  readonly entry: CheckedEntry;
  readonly stored: () => void;
  readonly failed: (error: unknown) => void;
}

interface StoredAudit extends Audit {
  /** Stores how many acts `note` has left out where none of their kind followed that could tell: those of `auditLimits.repeatMs` before `now`. */
  settle(now: number): Promise<void>;
  /** Stores what waits, and all that was left out. */
  close(): Promise<void>;
}

/** Appends to `db.light`, for an fsync with every answer would be the bottleneck. */
export function createAudit(db: Database, clock: Clock, keyring: Keyring): StoredAudit {
  const waiting: Waiting[] = [];
  const repeats = new Map<string, Noted>();
  let draining: Promise<void> | undefined;

  /** One transaction after the other; whoever comes during one is in the next. */
  const drain = async (): Promise<void> => {
    // One turn of the event loop, so that all who come in it share a transaction: promises alone would let each go by itself.
    await setImmediate();
    while (waiting.length > 0) {
      const batch = waiting.splice(0, auditLimits.batch);
      const entries = batch.map(({ entry }) => entry);
      try {
        await db.light.write((trx) => appendChecked(trx, entries));
        for (const { stored } of batch) stored();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    draining = undefined;
  };

  const append = async (entry: AuditEntry): Promise<void> => {
    const checked = checkEntry(entry, clock.now());
    if (waiting.length >= auditLimits.queue)
      throw new AllianceError('overloaded', { details: 'Too many records wait to be written to the audit.' });
    return new Promise((stored, failed) => {
      waiting.push({ entry: checked, stored, failed });
      draining ??= drain();
    });
  };

  /** Counts acts without a record with the last one of their kind, whichever that is by now. */
  const leaveOut = (key: string, noted: Noted, count: number): void => {
    const last = repeats.get(key) ?? noted;
    last.omitted += count;
    repeats.set(key, last);
  };

  /** Gives those that were left out a record together. */
  const sumUp = async (key: string, noted: Noted): Promise<void> => {
    const { omitted, act } = noted;
    if (omitted === 0) return;
    noted.omitted = 0;
    try {
      await append({ ...act, actor: 'broker', rule: null, requestId: null, details: { omitted } });
    } catch (error) {
      leaveOut(key, noted, omitted);
      throw error;
    }
  };

  const sumUpAll = async (isDue: (noted: Noted) => boolean): Promise<void> => {
    await Promise.all([...repeats].filter(([, noted]) => isDue(noted)).map((each) => sumUp(...each)));
  };

  return {
    ...createSeals(db, clock, keyring),

    append,

    note: async (entry) => {
      const now = clock.now();
      const act = actOf(entry);
      const key = JSON.stringify([act.kind, act.partner, act.outcome, act.subject]);
      const last = repeats.get(key);
      if (last && Math.abs(now - last.at) < auditLimits.repeatMs) {
        // Its record may still be on its way, and may fail: then this one has none either.
        await last.stored;
        leaveOut(key, last, 1);
        return false;
      }
      const omitted = last?.omitted ?? 0;
      const stored = append(omitted > 0 ? { ...entry, details: { ...entry.details, omitted } } : entry);
      const noted: Noted = { at: now, omitted: 0, stored, act };
      repeats.delete(key);
      const [oldest] = repeats;
      const crowdedOut = repeats.size >= auditLimits.repeatsTracked ? oldest : undefined;
      if (crowdedOut) repeats.delete(crowdedOut[0]);
      repeats.set(key, noted);
      await stored.catch((error: unknown) => {
        // The next one tries again.
        Object.assign(noted, { at: Number.NEGATIVE_INFINITY, omitted });
        throw error;
      });
      // Where that fails it is kept, and this act has its record.
      if (crowdedOut) await sumUp(...crowdedOut).catch(() => undefined);
      return true;
    },

    list: (query = {}) => list(db, query),

    head: () =>
      db.write(async (trx) => {
        const at = clock.now();
        // A transaction that changes nothing writes nothing to the disk; this one takes all before it along.
        const head = await trx
          .updateTable('audit_head')
          .set((eb) => ({ settled: eb('settled', '+', 1) }))
          .where('id', '=', 1)
          .returning(['seq', 'hash'])
          .executeTakeFirstOrThrow();
        return { ...head, at };
      }),

    hashOf: async (seq) => {
      const row = await db.reader.selectFrom('audit').select('hash').where('seq', '=', seq).executeTakeFirst();
      return row?.hash ?? null;
    },

    verify: (options) => verifyChain(db, options),

    settle: (now) => sumUpAll(({ at }) => Math.abs(now - at) >= auditLimits.repeatMs),

    close: async () => {
      // Without the database there is nothing that could be saved.
      await sumUpAll(() => true).catch(() => undefined);
      await draining;
    },
  };
}

async function list({ reader }: Database, query: AuditQuery): Promise<AuditRecord[]> {
  const { kind, partner, since, until, after, newest = false } = query;
  const limit = Math.max(1, Math.min(query.limit ?? auditLimits.pageRows, auditLimits.pageRows));
  let rows = reader.selectFrom('audit').selectAll();
  if (kind !== undefined) rows = rows.where('kind', '=', kind);
  if (partner !== undefined) rows = rows.where('partner', '=', partner);
  if (since !== undefined) rows = rows.where('at', '>=', since);
  if (until !== undefined) rows = rows.where('at', '<', until);
  if (after !== undefined) rows = rows.where('seq', '>', after);
  const found = await rows
    .orderBy('seq', newest ? 'desc' : 'asc')
    .limit(limit)
    .execute();
  return (newest ? found.reverse() : found).map(toRecord);
}
