/**
 * Records of answers about foreign tokens. The first of each kind is stored before it is given; equal ones that follow are counted, and
 * have a record together at the end of their window. What a partner's users can have recorded is bounded, so that they fill no disk, and of
 * that what each of them can, so that none takes it from the others: beyond that, refusals are counted only, and nothing is granted.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import type { CloudId } from '../../core/ids.ts';
import { auditLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { Rates } from '../../core/rates.ts';
import type { Telemetry } from '../../core/telemetry.ts';
import type { Audit, AuditEntry } from '../../model/audit.ts';
import { FairShares } from '../../token/fairShares.ts';

type Entry = AuditEntry & { readonly partner: CloudId };

interface Window {
  readonly entry: Entry;
  readonly bytes: number;
  /** Resolves once the first one has its record. */
  readonly stored: Promise<void>;
  /** Equal answers that have no record yet, since when they are counted, and till when. */
  times: number;
  since: number;
  till: number;
}

/** Answers that no record tells of singly. */
interface LeftOut {
  readonly of: Pick<Entry, 'kind' | 'partner' | 'outcome'>;
  readonly reason: 'rate' | 'crowded';
  omitted: number;
  readonly since: number;
  readonly till: number;
}

export interface ValidationOptions {
  readonly audit: Pick<Audit, 'append'>;
  /** UTC epoch ms. */
  readonly now: () => number;
  readonly log: Logger;
  readonly telemetry: Pick<Telemetry, 'refusal'>;
}

const { validationBytesPerS, validationBurstBytes, validationUserShare } = auditLimits;
const rate = { perS: validationBytesPerS, burst: validationBurstBytes };
const userRate = { perS: validationBytesPerS * validationUserShare, burst: validationBurstBytes * validationUserShare };

/** What a record of several answers says: how the first of them was known is not how the others were, unless it is `stale`. */
function repeated({ age_ms: _, source, ...details }: Entry['details']): Entry['details'] {
  return source === 'stale' ? { ...details, source } : details;
}

/** As the database holds it, with hashes and index. */
const bytesOf = (entry: AuditEntry): number => Buffer.byteLength(JSON.stringify(entry)) + auditLimits.rowBytes;

/** More is to be recorded of tokens of the partner, or of one of its users, than their share of the audit. */
export class ShareUsedUp extends AllianceError {
  constructor(partner: CloudId, retryAfterMs: number) {
    const details = `Tokens of ${partner}, or of one of its users, have used up their share of the audit.`;
    super('overloaded', { details, retryAfterMs });
  }
}

/** Bytes by partner, and for each of its users. */
class Bytes {
  readonly #partners = new Rates(auditLimits.repeatsTracked);
  readonly #users = new Rates(auditLimits.repeatsTracked);

  /** Takes them and returns 0, or returns how long to wait, ms. */
  take({ partner, subject }: Entry, bytes: number, now: number): number {
    const waitMs = this.#users.take(JSON.stringify([partner, subject]), userRate, now, bytes);
    return waitMs > 0 ? waitMs : this.#partners.take(partner, rate, now, bytes);
  }
}

export class ValidationRecords {
  readonly #options: ValidationOptions;
  readonly #secret = randomBytes(32);
  readonly #windows: FairShares<CloudId, Window>;
  readonly #leftOut = new Map<string, LeftOut>();
  /** Refusals have their own rate, so that nobody who is refused keeps others from what they may have. */
  readonly #granted = new Bytes();
  readonly #refused = new Bytes();
  readonly #timer: NodeJS.Timeout;

  constructor(options: ValidationOptions) {
    this.#options = options;
    const bounds = { entries: auditLimits.validations, weight: auditLimits.validationsBytes };
    this.#windows = new FairShares(
      () => bounds,
      (_, { entry, times }) => this.#leaveOut(entry, entry.outcome, 'crowded', times),
    );
    this.#timer = setInterval(() => void this.sweep(), auditLimits.validationSweepMs).unref();
  }

  /**
   * Resolves once the answer may be given: it has its record, or is counted. `kind` is the same for equal answers of the partner's; it may
   * hold the token, and is not kept.
   * @throws ShareUsedUp, and what the audit throws
   */
  async record(entry: Entry, kind: string): Promise<void> {
    const { partner } = entry;
    const key = createHmac('sha256', this.#secret).update(kind).digest('base64url');
    const known = this.#windows.get(partner, key);
    if (known) {
      known.times += 1;
      // It may be on its way, and may fail: then this one has none either.
      return known.stored;
    }
    const bytes = bytesOf(entry);
    const isGranted = entry.outcome === 'valid';
    const waitMs = this.#waitFor(entry, bytes);
    if (waitMs > 0) {
      this.#options.telemetry.refusal('audit_rate');
      this.#leaveOut(entry, isGranted ? 'undecided' : entry.outcome, 'rate', 1);
      if (!isGranted) return;
      throw new ShareUsedUp(partner, waitMs);
    }
    const now = this.#options.now();
    const stored = this.#options.audit.append(entry);
    const window = { entry, bytes, stored, times: 0, since: now, till: now + auditLimits.validationWindowMs };
    this.#windows.set(partner, key, window, bytes);
    await stored.catch((error: unknown) => {
      if (this.#windows.get(partner, key) === window) this.#windows.delete(partner, key);
      throw error;
    });
  }

  /** Writes what was counted in windows that have ended. */
  async sweep(): Promise<void> {
    const now = this.#options.now();
    const isOver = ({ since, till }: Pick<Window, 'since' | 'till'>): boolean => now >= till || now < since;
    for (const [partner, key, { times, ...window }] of this.#windows)
      if (times === 0 && isOver(window)) this.#windows.delete(partner, key);
    // A window whose partner has nothing left of its rate goes on; the count is the same, and later.
    await this.#write((window) => isOver(window) && this.#waitFor(window.entry, window.bytes) === 0, isOver);
  }

  /** Writes all that was counted. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#write(
      () => true,
      () => true,
    );
  }

  #waitFor(entry: Entry, bytes: number): number {
    const share = entry.outcome === 'valid' ? this.#granted : this.#refused;
    return share.take(entry, bytes, this.#options.now());
  }

  #leaveOut({ kind, partner }: Entry, outcome: string, reason: LeftOut['reason'], times: number): void {
    if (times === 0) return;
    const key = JSON.stringify([partner, outcome, reason]);
    const now = this.#options.now();
    const fresh = { of: { kind, partner, outcome }, reason, omitted: 0, since: now, till: now };
    const known = this.#leftOut.get(key) ?? { ...fresh, till: now + auditLimits.validationWindowMs };
    known.omitted += times;
    this.#leftOut.set(key, known);
  }

  async #write(isDue: (window: Window) => boolean, isOver: (leftOut: LeftOut) => boolean): Promise<void> {
    const due = [...this.#windows].filter(([, , window]) => window.times > 0 && isDue(window));
    // Few at a time: answers wait in the same queue.
    for (let at = 0; at < due.length; at += auditLimits.batch)
      await Promise.all(due.slice(at, at + auditLimits.batch).map(([, , window]) => this.#writeRepeats(window)));
    for (const [key, leftOut] of this.#leftOut) {
      if (!isOver(leftOut)) continue;
      this.#leftOut.delete(key);
      const { of, reason, omitted, since } = leftOut;
      const details = { omitted, since, reason };
      const entry = { ...of, actor: 'broker', subject: null, rule: null, requestId: null, details };
      if (!(await this.#append(entry))) this.#leaveOut(entry, of.outcome, reason, omitted);
    }
  }

  async #writeRepeats(window: Window): Promise<void> {
    const { entry, times, since } = window;
    const now = this.#options.now();
    Object.assign(window, { times: 0, since: now, till: now + auditLimits.validationWindowMs });
    if (await this.#append({ ...entry, details: { ...repeated(entry.details), times, since } })) return;
    window.times += times;
    window.since = since;
  }

  async #append(entry: AuditEntry): Promise<boolean> {
    try {
      await this.#options.audit.append(entry);
      return true;
    } catch (thrown) {
      this.#options.log.error(
        { err: toAllianceError(thrown) },
        'Answers about foreign tokens were counted, and the count has no record yet.',
      );
      return false;
    }
  }
}
