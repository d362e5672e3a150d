/**
 * Tokens of this cloud that the broker has seen, by what hints are made of, and whether those are all: then it may say of another token
 * that it is none. Those that were issued here outlive the process, sealed, where that is said; a token itself is never kept.
 */
import type { Clock } from '../core/clock.ts';
import { Earliest } from '../core/earliest.ts';
import { toAllianceError } from '../core/errors.ts';
import { hintLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import { sha256 } from '../crypto/bytes.ts';
import type { OwnTokenRecord, OwnTokens as Stored } from '../model/ownToken.ts';

export interface OwnTokensOptions {
  readonly clock: Clock;
  /** Absent: nothing outlives the process. */
  readonly kept?: { readonly store: Stored; readonly log: Logger };
  /** Whether the operator says that every login comes through this broker. */
  readonly allHere: () => boolean;
  /** Instead of `hintLimits.ownTokens` and `hintLimits.seenTokens`. */
  readonly limit?: number;
}

/** Those that hear of each token that comes and goes. */
export interface OwnTokensListener {
  added(id: string, key: Buffer): void;
  removed(id: string, key: Buffer): void;
}

/** What Keystone says of a token. */
export interface OwnToken {
  readonly token: string;
  readonly expiresAt: number;
  /** Its own; of those that it was made from there may be more. */
  readonly auditId: string | undefined;
}

export const keyOf = (token: string): Buffer => sha256('alliance/1 token', token);
export const idOf = (key: Buffer): string => key.toString('base64url');

/** So many tokens and no more: those that end first go first. */
class Shelf {
  readonly #limit: number;
  readonly #tokens = new Map<string, OwnTokenRecord>();
  readonly #order = new Earliest<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(id: string): OwnTokenRecord | undefined {
    return this.#tokens.get(id);
  }

  /** One that is not here yet. Returns the one that had to go for it. */
  add(id: string, token: OwnTokenRecord): OwnTokenRecord | undefined {
    this.#tokens.set(id, token);
    this.#order.push(token.expiresAt, id);
    while (this.#tokens.size > this.#limit) {
      const first = this.#order.pop()!;
      const gone = this.#tokens.get(first);
      if (this.#tokens.delete(first)) return gone;
    }
    return undefined;
  }

  delete(id: string): void {
    this.#tokens.delete(id);
  }

  [Symbol.iterator](): Iterator<readonly [id: string, token: OwnTokenRecord]> {
    return this.#tokens[Symbol.iterator]();
  }
}

export class OwnTokens {
  readonly #options: OwnTokensOptions;
  readonly #limit: number;
  readonly #issued: Shelf;
  /** Apart: who shows us tokens is not to push out those that were issued here. */
  readonly #seen: Shelf;
  /** Of those that were issued here. */
  readonly #auditIds = new Set<string>();
  #listener: OwnTokensListener | undefined;
  /** Until when there may be tokens of this cloud that are not among these, UTC. */
  #unsureTill: number;
  #unsaved: OwnTokenRecord[] = [];
  #saving: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: OwnTokensOptions) {
    this.#options = options;
    this.#limit = options.limit ?? hintLimits.ownTokens;
    this.#issued = new Shelf(this.#limit);
    this.#seen = new Shelf(options.limit ?? hintLimits.seenTokens);
    // Tokens from before this process, unless it reads of them.
    this.#unsureTill = options.kept ? options.clock.now() + hintLimits.lifeMs : 0;
  }

  /** Takes up what the process before left; one that did not stop in order may have left something out. */
  async start(): Promise<void> {
    const { kept, clock } = this.#options;
    if (!kept) return;
    const now = clock.now();
    const { tokens, unsureTill } = await kept.store.takeUp(now - hintLimits.keepExpiredMs, this.#limit);
    this.#unsureTill = unsureTill ?? now + hintLimits.lifeMs;
    for (const token of tokens) if (!this.#issued.get(idOf(token.key))) this.#addIssued(token);
  }

  listen(listener: OwnTokensListener): void {
    this.#listener = listener;
  }

  /** To be called often: what is issued while logins may come in other ways is not known when that ends, either. */
  look(): void {
    const { allHere, clock } = this.#options;
    if (!allHere()) this.#unsureTill = clock.now() + hintLimits.lifeMs;
  }

  /** Whether there is no other token of this cloud that still counts. */
  get knowsAll(): boolean {
    return this.#options.allHere() && this.#options.clock.now() >= this.#unsureTill;
  }

  /** `seen`: it was issued before, and Keystone has called it valid. */
  learn({ token, expiresAt, auditId }: OwnToken, how: 'issued' | 'seen'): void {
    if (expiresAt <= this.#options.clock.now()) return;
    const key = keyOf(token);
    const id = idOf(key);
    if (this.#issued.get(id)) return;
    const record = { key, expiresAt, auditId };
    if (how === 'seen') {
      this.#see(id, record);
      return;
    }
    this.#seen.delete(id);
    this.#addIssued(record);
    this.#save(record);
  }

  *[Symbol.iterator](): IterableIterator<readonly [id: string, token: OwnTokenRecord]> {
    yield* this.#issued;
    yield* this.#seen;
  }

  /** Also for a while after its expiry. */
  get(id: string): OwnTokenRecord | undefined {
    const known = this.#issued.get(id) ?? this.#seen.get(id);
    return known && known.expiresAt + hintLimits.keepExpiredMs > this.#options.clock.now() ? known : undefined;
  }

  /** Stores what is left. What is learnt after it nobody will know of, so the next process is told to be unsure. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#saving;
    const { kept } = this.#options;
    if (!kept) return;
    this.look();
    await this.#flush();
    if (this.#unsaved.length === 0) await kept.store.leave(this.#unsureTill).catch(() => undefined);
  }

  #addIssued(token: OwnTokenRecord): void {
    if (token.auditId !== undefined) this.#auditIds.add(token.auditId);
    const gone = this.#put(this.#issued, idOf(token.key), token);
    if (!gone) return;
    if (gone.auditId !== undefined) this.#auditIds.delete(gone.auditId);
    this.#unsureTill = Math.max(this.#unsureTill, gone.expiresAt);
  }

  #see(id: string, token: OwnTokenRecord): void {
    if (this.#seen.get(id)) return;
    const { auditId } = token;
    // One that was issued here may have a second text, which Keystone takes as well.
    const isIssuedHere = auditId !== undefined && this.#auditIds.has(auditId);
    if (!isIssuedHere && this.knowsAll) {
      this.#unsureTill = this.#options.clock.now() + hintLimits.lifeMs;
      const message = 'A token of this cloud was issued past this broker, in spite of tokens.all_logins_here.';
      this.#options.kept?.log.error(message);
    }
    this.#put(this.#seen, id, token);
  }

  /** Returns the one that had to go for it. */
  #put(shelf: Shelf, id: string, token: OwnTokenRecord): OwnTokenRecord | undefined {
    this.#listener?.added(id, token.key);
    const gone = shelf.add(id, token);
    if (gone) this.#listener?.removed(idOf(gone.key), gone.key);
    return gone;
  }

  /** Nobody is told that these are all unless the operator says so: what is learnt until then nobody will look for. */
  #save(token: OwnTokenRecord): void {
    const { kept, allHere } = this.#options;
    if (!kept || !allHere()) return;
    this.#unsaved.push(token);
    if (this.#timer || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#saving = this.#flush();
    }, hintLimits.saveMs);
    this.#timer.unref();
  }

  async #flush(): Promise<void> {
    const { kept, clock } = this.#options;
    const batch = this.#unsaved;
    if (!kept || batch.length === 0) return;
    this.#unsaved = [];
    try {
      await kept.store.add(batch, { since: clock.now() - hintLimits.keepExpiredMs, most: this.#limit });
    } catch (error) {
      // Beyond what is known at all, nothing waits; with something unsaved there is no orderly end.
      this.#unsaved = [...batch, ...this.#unsaved].slice(-this.#limit - 1);
      kept.log.warn({ err: toAllianceError(error) }, 'Which tokens are of this cloud could not be stored.');
    }
  }
}
