/**
 * What issuers said of their tokens. An answer counts for a short time after it was asked for, never beyond the token's expiry, never
 * once it was revoked, and only while the issuer's revocations are known to be complete. Refusals are kept apart and shorter. No
 * partner's answers push out those of partners that have fewer.
 *
 * Times are of the monotonic clock unless they are a token's own; keys are keyed hashes, since a token itself is never kept.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { type Clock, monotonic } from '../core/clock.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits, tokenLimits } from '../core/limits.ts';
import { jsonShape } from '../lproxy/foreignToken.ts';
import type { KeystoneToken } from '../lproxy/keystoneBodies.ts';
import { FairShares } from './fairShares.ts';
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

/** What an entry takes at most: its body, what was read of it for decisions and for mappings, and the values that hold that. */
export function memoryOf(body: string): number {
  // V8 has one byte for a character, and two for each where one of them needs that.
  const width = /[\u0100-\uffff]/.test(body) ? 2 : 1;
  const { nodeBytes, entryBytes } = foreignLimits;
  return 3 * width * body.length + jsonShape(body).nodes * nodeBytes + entryBytes;
}

export class ForeignCache {
  readonly #options: ForeignCacheOptions;
  readonly #secret = randomBytes(32);
  readonly #entries: FairShares<PartnerUid, Entry>;
  /** When the issuer was asked about what it refused. */
  readonly #refusals = new FairShares<PartnerUid, number>(() => ({
    entries: foreignLimits.negativeEntries,
    weight: Number.POSITIVE_INFINITY,
  }));
  /** The newest revocation that a partner spoke of in an answer. */
  readonly #heads = new Map<PartnerUid, number>();

  constructor(options: ForeignCacheOptions) {
    this.#options = options;
    this.#entries = new FairShares(() => ({ entries: options.bounds().entries, weight: foreignLimits.cacheBytes }));
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
    const refusedAt = this.#refusals.get(this.partnerOf(key), key);
    if (refusedAt !== undefined) {
      if (this.now() - refusedAt < Math.min(tokenLimits.negativeCacheMs, this.#options.bounds().ageMs))
        return 'invalid';
      this.#refusals.delete(this.partnerOf(key), key);
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
    this.drop(key);
    const left = answer.facts.expiresAt - this.#options.clock.now();
    const endsAt = answer.allowExpired ? Number.POSITIVE_INFINITY : this.now() + left;
    this.#entries.set(this.partnerOf(key), key, { ...answer, endsAt }, memoryOf(answer.body));
  }

  /** The issuer refused it, when asked at this time. */
  refuse(key: string, askedAt: number): void {
    this.#forget(key);
    this.#refusals.set(this.partnerOf(key), key, askedAt, 0);
  }

  drop(key: string): void {
    this.#forget(key);
    this.#refusals.delete(this.partnerOf(key), key);
  }

  /** Takes out what has ended, and everything of those that `isVoid` says. */
  sweep(isVoid: (uid: PartnerUid) => boolean): void {
    const { bounds, staleMs } = this.#options;
    const { ageMs } = bounds();
    const now = this.now();
    // Revoked ones may stay: marks outlive tokens, and every use looks at them.
    for (const [, key, { partnerUid, askedAt, endsAt }] of this.#entries) {
      const keepMs = Math.max(ageMs, staleMs(partnerUid));
      if (isVoid(partnerUid) || now >= endsAt || now - askedAt >= keepMs) this.#forget(key);
    }
    for (const uid of this.#heads.keys()) if (isVoid(uid)) this.#heads.delete(uid);
  }

  clear(): void {
    this.#entries.clear();
    this.#refusals.clear();
  }

  /** The entry, unless the token has expired or was revoked. */
  #living(key: string): Entry | undefined {
    const entry = this.#entries.get(this.partnerOf(key), key);
    if (!entry) return undefined;
    const { clock, marks } = this.#options;
    const { facts, allowExpired, endsAt, partnerUid } = entry;
    const expired = !allowExpired && (clock.now() >= facts.expiresAt || this.now() >= endsAt);
    if (!expired && !marks.isRevoked(partnerUid, facts)) return entry;
    this.#forget(key);
    return undefined;
  }

  #forget(key: string): void {
    this.#entries.delete(this.partnerOf(key), key);
  }
}
