/**
 * Tokens of this cloud that the broker has seen, by what hints are made of, and whether those are all: then it may say of another token
 * that it is none. They outlive the process, sealed; a token itself is never kept.
 */
import type { Clock } from '../core/clock.ts';
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
  /** Instead of `hintLimits.ownTokens`. */
  readonly limit?: number;
}

/** Those that hear of each token that comes and goes. */
export interface OwnTokensListener {
  added(id: string, key: Buffer): void;
  removed(id: string, key: Buffer): void;
}

export const keyOf = (token: string): Buffer => sha256('alliance/1 token', token);
export const idOf = (key: Buffer): string => key.toString('base64url');

export class OwnTokens {
  readonly #options: OwnTokensOptions;
  readonly #limit: number;
  readonly #tokens = new Map<string, OwnTokenRecord>();
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
    // Tokens from before this process, unless it reads of them.
    this.#unsureTill = options.kept ? options.clock.now() + hintLimits.lifeMs : 0;
  }

  /** Takes up what the process before left; one that did not stop in order may have left something out. */
  async start(): Promise<void> {
    const { kept, clock } = this.#options;
    if (!kept) return;
    const now = clock.now();
    const { tokens, unsureTill } = await kept.store.takeUp(now - hintLimits.keepExpiredMs);
    this.#unsureTill = unsureTill ?? now + hintLimits.lifeMs;
    for (const token of tokens) this.#add(token);
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
  learn(token: string, expiresAt: number, how: 'issued' | 'seen'): void {
    const { clock, kept } = this.#options;
    const now = clock.now();
    if (expiresAt <= now) return;
    const key = keyOf(token);
    const isNew = !this.#tokens.has(idOf(key));
    if (isNew && how === 'seen' && this.knowsAll) {
      this.#unsureTill = now + hintLimits.lifeMs;
      kept?.log.error('A token of this cloud was issued past this broker, in spite of tokens.all_logins_here.');
    }
    this.#add({ key, expiresAt });
    if (isNew) this.#save({ key, expiresAt });
  }

  [Symbol.iterator](): Iterator<readonly [id: string, token: OwnTokenRecord]> {
    return this.#tokens[Symbol.iterator]();
  }

  /** Also for a while after its expiry. */
  get(id: string): OwnTokenRecord | undefined {
    const known = this.#tokens.get(id);
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

  #add(token: OwnTokenRecord): void {
    const id = idOf(token.key);
    const isNew = !this.#tokens.delete(id);
    this.#tokens.set(id, token);
    if (isNew) this.#listener?.added(id, token.key);
    if (this.#tokens.size > this.#limit) this.#forgetOne();
  }

  /** Those that end first. */
  #forgetOne(): void {
    let first: readonly [string, OwnTokenRecord] | undefined;
    for (const entry of this.#tokens) if (!first || entry[1].expiresAt < first[1].expiresAt) first = entry;
    if (!first) return;
    const [id, { key, expiresAt }] = first;
    this.#tokens.delete(id);
    this.#unsureTill = Math.max(this.#unsureTill, expiresAt);
    this.#listener?.removed(id, key);
  }

  #save(token: OwnTokenRecord): void {
    if (!this.#options.kept) return;
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
      await kept.store.add(batch, clock.now() - hintLimits.keepExpiredMs);
    } catch (error) {
      // Beyond what is known at all, nothing waits; with something unsaved there is no orderly end.
      this.#unsaved = [...batch, ...this.#unsaved].slice(-this.#limit - 1);
      kept.log.warn({ err: toAllianceError(error) }, 'Which tokens are of this cloud could not be stored.');
    }
  }
}
