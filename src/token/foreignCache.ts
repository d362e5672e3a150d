/**
 * What issuers said of their tokens. An answer counts for a short time after it was asked for, never beyond the token's expiry, never
 * once it was revoked, and only while the issuer's revocations are known to be complete. Refusals are kept apart and shorter.
 *
 * Times are of the monotonic clock unless they are a token's own; keys are keyed hashes, since a token itself is never kept.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { type Clock, monotonic } from '../core/clock.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits, tokenLimits } from '../core/limits.ts';
import type { KeystoneToken } from '../lproxy/keystoneBodies.ts';
import { Bounded } from './bounded.ts';
import type { RevocationMarks } from './revocation/marks.ts';

export interface ForeignAnswer {
  readonly partnerUid: PartnerUid;
  /** The issuer's, verbatim. */
  readonly body: string;
  readonly facts: KeystoneToken;
  /** Expired ones are good, too: such an answer is for those alone who ask so. */
  readonly allowExpired: boolean;
  /** When the issuer was asked. */
  readonly askedAt: number;
}

interface Entry extends ForeignAnswer {
  readonly bytes: number;
  /** What was left of the token's life then, measured by a clock that nobody turns back. */
  readonly endsAt: number;
}

export type Remembered = { readonly answer: ForeignAnswer; readonly ageMs: number };

export interface ForeignCacheOptions {
  readonly clock: Clock;
  readonly marks: Pick<RevocationMarks, 'confirmedAt' | 'isRevoked'>;
  /** Sequence of the newest revocation of a partner that is known here. */
  readonly head: (uid: PartnerUid) => number | null;
  /** As configuration has them now. */
  readonly bounds: () => { readonly ageMs: number; readonly entries: number };
  /** How old an answer of this partner's may be while it cannot be asked. */
  readonly staleMs: (uid: PartnerUid) => number;
}

export class ForeignCache {
  readonly #options: ForeignCacheOptions;
  readonly #secret = randomBytes(32);
  readonly #entries = new Map<string, Entry>();
  /** When the issuer was asked about what it refused. */
  readonly #refusals = new Bounded<number>(foreignLimits.negativeEntries);
  /** The newest revocation that a partner spoke of in an answer. */
  readonly #heads = new Map<PartnerUid, number>();
  #bytes = 0;

  constructor(options: ForeignCacheOptions) {
    this.#options = options;
  }

  /** Stands for a token; dies with the process. */
  idOf(token: string): string {
    return createHmac('sha256', this.#secret).update(token).digest('base64url');
  }

  keyOf(uid: PartnerUid, allowExpired: boolean, id: string): string {
    return `${uid}${allowExpired ? '+' : '-'}${id}`;
  }

  /** Whose a key of `keyOf` is. */
  partnerOf(key: string): PartnerUid {
    return key.slice(0, key.search(/[+-]/)) as PartnerUid;
  }

  now(): number {
    return monotonic(this.#options.clock);
  }

  /** What counts without asking. */
  read(key: string): Remembered | 'invalid' | undefined {
    const refusedAt = this.#refusals.get(key);
    if (refusedAt !== undefined) {
      if (this.now() - refusedAt < Math.min(tokenLimits.negativeCacheMs, this.#options.bounds().ageMs))
        return 'invalid';
      this.#refusals.delete(key);
    }
    const entry = this.#living(key);
    if (!entry) return undefined;
    const ageMs = this.now() - entry.askedAt;
    if (ageMs >= this.#options.bounds().ageMs || !this.isConfirmed(entry.partnerUid)) return undefined;
    return { answer: entry, ageMs };
  }

  /** What counts where the issuer cannot be asked and the operator allows it. */
  readStale(key: string): Remembered | undefined {
    const entry = this.#living(key);
    if (!entry) return undefined;
    const ageMs = this.now() - entry.askedAt;
    return ageMs < this.#options.staleMs(entry.partnerUid) ? { answer: entry, ageMs } : undefined;
  }

  /** Whether all revocations of the partner are known that are older than a few seconds. */
  isConfirmed(uid: PartnerUid): boolean {
    const { marks, clock } = this.#options;
    const confirmedAt = marks.confirmedAt(uid);
    return confirmedAt !== null && clock.now() - confirmedAt <= foreignLimits.confirmedMs && !this.isBehind(uid);
  }

  /** Whether the partner has spoken of revocations that are not known here yet. */
  isBehind(uid: PartnerUid): boolean {
    const head = this.#heads.get(uid);
    return head !== undefined && head > (this.#options.head(uid) ?? -1);
  }

  learnHead(uid: PartnerUid, head: number): void {
    this.#heads.set(uid, Math.max(head, this.#heads.get(uid) ?? 0));
  }

  keep(key: string, answer: ForeignAnswer): void {
    const { clock, bounds } = this.#options;
    this.drop(key);
    // Memory has one or two bytes for a character.
    const bytes = 2 * answer.body.length + foreignLimits.entryBytes;
    const left = answer.facts.expiresAt - clock.now();
    const endsAt = answer.allowExpired ? Number.POSITIVE_INFINITY : this.now() + left;
    this.#entries.set(key, { ...answer, bytes, endsAt });
    this.#bytes += bytes;
    const { entries } = bounds();
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= entries && this.#bytes <= foreignLimits.cacheBytes) return;
      this.#forget(oldest);
    }
  }

  /** The issuer refused it, when asked at this time. */
  refuse(key: string, askedAt: number): void {
    this.#forget(key);
    this.#refusals.set(key, askedAt);
  }

  drop(key: string): void {
    this.#forget(key);
    this.#refusals.delete(key);
  }

  /** Takes out what has ended, and everything of those that `isVoid` says. */
  sweep(isVoid: (uid: PartnerUid) => boolean): void {
    const { bounds, staleMs } = this.#options;
    const { ageMs } = bounds();
    const now = this.now();
    // Revoked ones may stay: marks outlive tokens, and every use looks at them.
    for (const [key, { partnerUid, askedAt, endsAt }] of this.#entries) {
      const keepMs = Math.max(ageMs, staleMs(partnerUid));
      if (isVoid(partnerUid) || now >= endsAt || now - askedAt >= keepMs) this.#forget(key);
    }
    for (const uid of this.#heads.keys()) if (isVoid(uid)) this.#heads.delete(uid);
  }

  clear(): void {
    this.#entries.clear();
    this.#refusals.clear();
    this.#bytes = 0;
  }

  /** The entry, unless the token has expired or was revoked. */
  #living(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    const { clock, marks } = this.#options;
    const { facts, allowExpired, endsAt, partnerUid } = entry;
    const expired = !allowExpired && (clock.now() >= facts.expiresAt || this.now() >= endsAt);
    if (!expired && !marks.isRevoked(partnerUid, facts)) return entry;
    this.#forget(key);
    return undefined;
  }

  #forget(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}
