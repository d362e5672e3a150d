/**
 * Revocations of this cloud's own tokens: read from its Keystone each second while a partner may want them, appended to the feed once,
 * and read from there by partners. Where it stands is stored, so that a restart loses nothing and tells nothing again.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { TrustView } from '../../client/trustView.ts';
import { type Clock, monotonic } from '../../core/clock.ts';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { keystoneLimits, revocationLimits as limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { Keystone } from '../../lproxy/keystone.ts';
import type { RevocationEvent } from '../../lproxy/keystoneRevocations.ts';
import type { Store } from '../../model/store.ts';
import type { RevocationMarks } from './marks.ts';
import { Pause } from './pause.ts';
import { SeenEvents } from './seen.ts';

/** Under this name marks are kept of this cloud's own tokens. */
export const ownTokens = 'own';

export interface RevocationSourceOptions {
  /** Undefined: none is configured, and nothing is known but what is appended. */
  readonly keystone: Pick<Keystone, 'revocationEvents'> | undefined;
  readonly store: Pick<Store, 'feed' | 'settings' | 'leases'>;
  readonly view: Pick<TrustView, 'partners' | 'stateOf'>;
  readonly marks: RevocationMarks;
  readonly clock: Clock;
  readonly log: Logger;
  /** Instead of `revocationLimits`. */
  readonly pauses?: { readonly pollMs: number; readonly pollMinPauseMs: number };
}

export interface SourcePage {
  readonly revocations: readonly { readonly sequence: number; readonly event: RevocationEvent }[];
  readonly next: number;
  readonly head: number;
  readonly gap: boolean;
  /** Since Keystone was last asked with success, by any process of this broker; null: never. */
  readonly ageMs: number | null;
}

const subjects = ['revocation'];
/** Questions within so many seconds differ in their milliseconds. */
const spreadMs = 3600;
const settingsKey = 'revocation_source';
/** `newest` in Keystone's time; `seq`: what may come again is in the feed behind it. */
const standing = z.object({ newest: z.number().nullable(), seq: z.number(), polledAt: z.number() });
type Standing = z.infer<typeof standing>;

export class RevocationSource {
  readonly #options: RevocationSourceOptions;
  readonly #holder = randomUUID();
  readonly #abort = new AbortController();
  readonly #pause = new Pause();
  readonly #listeners: ((head: number) => void)[] = [];
  #seen = new SeenEvents();
  #newest: number | null = null;
  /** When Keystone was last asked with success: by the monotonic clock here, and by the wall clock as it is stored. */
  #askedAt: number | null = null;
  #storedAt: number | null = null;
  #head = 0;
  #asked = 0;
  /** Whether `#seen` and `#newest` are those of the database. */
  #loaded = false;
  #failure: string | null = null;
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: RevocationSourceOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.#load();
    this.#loops = Promise.all([this.#pollLoop(), this.#tailLoop(this.#head)]);
  }

  /** Ends the waiting of readers, too. */
  async stop(): Promise<void> {
    this.#abort.abort(new AllianceError('shutting_down'));
    this.#pause.end();
    await this.#loops;
    await this.#options.store.leases.release(settingsKey, this.#holder).catch(() => undefined);
  }

  /** Sequence of the newest revocation that this process knows of. */
  get head(): number {
    return this.#head;
  }

  onAppend(listener: (head: number) => void): void {
    this.#listeners.push(listener);
  }

  /** Keystone has probably something new. */
  poke(): void {
    this.#pause.wake();
  }

  /** What is known already is left out. */
  async append(events: readonly RevocationEvent[]): Promise<void> {
    const { store, marks, clock } = this.#options;
    const fresh = events.filter((event) => this.#seen.add(event, { at: clock.now(), floor: this.#head }));
    for (let from = 0; from < fresh.length; from += limits.appendRows) {
      const batch = fresh.slice(from, from + limits.appendRows);
      try {
        const head = await store.feed.appendAll('revocation', batch);
        for (const event of batch) marks.note(ownTokens, event);
        this.#head = Math.max(this.#head, head);
      } catch (error) {
        for (const event of fresh.slice(from)) this.#seen.take(event);
        throw error;
      }
    }
    if (fresh.length > 0) for (const listener of this.#listeners) listener(this.#head);
  }

  /** `after` -1: only where it ends. Waits at most `waitMs` for something to tell. */
  async read({ after, waitMs, limit }: { after: number; waitMs: number; limit: number }): Promise<SourcePage> {
    const { feed } = this.#options.store;
    if (after < 0) {
      const askedAt = this.#askedAt;
      const { head } = await feed.read({ after: this.#head, subjects: [] });
      return { revocations: [], next: head, head, gap: false, ageMs: this.#ageOf(askedAt) };
    }
    const query = { after, subjects, limit };
    if (waitMs > 0) await feed.wait({ ...query, limit: 1, timeoutMs: waitMs, signal: this.#abort.signal });
    // Before the feed is read: what Keystone said until then is in it.
    const askedAt = this.#askedAt;
    const { entries, next, head, gap } = await feed.read(query);
    const revocations = entries.map(({ seq, payload }) => ({ sequence: seq, event: payload as RevocationEvent }));
    return { revocations, next, head, gap: gap && after > 0, ageMs: this.#ageOf(askedAt) };
  }

  #ageOf(askedAt: number | null): number | null {
    return askedAt === null ? null : Math.round(monotonic(this.#options.clock) - askedAt);
  }

  /** When another process, or the one before this, asked. */
  #takeOver(known: Standing | null): void {
    if (!known || known.polledAt === this.#storedAt) return;
    const { clock } = this.#options;
    this.#storedAt = known.polledAt;
    this.#askedAt = monotonic(clock) - Math.max(0, clock.now() - known.polledAt);
  }

  get #wanted(): boolean {
    const { view, keystone } = this.#options;
    if (!keystone) return false;
    for (const partner of view.partners)
      if (partner.role !== 'provider' && view.stateOf(partner) === 'active') return true;
    return false;
  }

  async #pollLoop(): Promise<void> {
    const { signal } = this.#abort;
    const { log, pauses: { pollMs, pollMinPauseMs } = limits } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (this.#wanted) await this.#turn();
        failures = 0;
        this.#failure = null;
      } catch (thrown) {
        const error = toAllianceError(thrown);
        failures += 1;
        // Once for each kind of failure: an operator has to see it, and partners do without what they remember meanwhile.
        if (error.errorName !== this.#failure && !signal.aborted)
          log.warn({ err: error }, 'Revocations cannot be read from Keystone.');
        this.#failure = error.errorName;
      }
      const growing = Math.min(pollMs * 2 ** failures, limits.pollMaxPauseMs);
      // Keystone may lock a user after too many failures.
      const pauseMs = this.#failure === 'keystone_refused' ? keystoneLimits.lookAfterRefusalMs : growing;
      await this.#pause.wait(pauseMs, pollMinPauseMs);
    }
  }

  /** One process of the broker asks; the others take over its knowledge of when that was. */
  async #turn(): Promise<void> {
    const { store } = this.#options;
    if (await store.leases.acquire(settingsKey, this.#holder, limits.leaseMs)) {
      if (!this.#loaded) await this.#load();
      await this.#poll();
    } else {
      this.#loaded = false;
      this.#takeOver(await this.#read());
    }
  }

  async #poll(): Promise<void> {
    const { store, clock } = this.#options;
    const polledAt = clock.now();
    const askedAt = monotonic(clock);
    // Never the same text twice in an hour: Keystone keeps its answers by it, and each of its processes its own.
    const since = this.#newest === null ? null : this.#newest - limits.overlapMs - (this.#asked++ % spreadMs);
    const events = await this.#options.keystone!.revocationEvents(since);
    // An answer that took long may come when another process has gone on.
    if (!(await store.leases.acquire(settingsKey, this.#holder, limits.leaseMs))) return;
    await this.append(events);
    // One clock that is far ahead must not make us pass by what the others say.
    const latest = polledAt + limits.overlapMs;
    for (const { revokedAt } of events) this.#newest = Math.max(this.#newest ?? 0, Math.min(revokedAt, latest));
    if (this.#newest !== null) this.#seen.forget(this.#newest - limits.overlapMs - spreadMs, polledAt);
    const seq = this.#seen.floor ?? this.#head;
    await store.settings.set(settingsKey, JSON.stringify({ newest: this.#newest, seq, polledAt } satisfies Standing));
    this.#storedAt = polledAt;
    this.#askedAt = askedAt;
  }

  async #read(): Promise<Standing | null> {
    const text = await this.#options.store.settings.get(settingsKey);
    return text === null ? null : standing.parse(JSON.parse(text));
  }

  async #load(): Promise<void> {
    const { store, clock } = this.#options;
    const known = await this.#read();
    this.#newest = known?.newest ?? null;
    this.#takeOver(known);
    this.#seen = new SeenEvents();
    let after = known?.seq ?? 0;
    for (;;) {
      const page = await store.feed.read({ after, subjects });
      for (const { seq, payload } of page.entries)
        this.#seen.add(payload as RevocationEvent, { at: clock.now(), floor: seq - 1 });
      this.#head = Math.max(this.#head, page.head);
      after = page.next;
      if (after >= page.head) break;
    }
    this.#loaded = true;
  }

  /** What any process of this broker appended, so that soft knowledge ends everywhere. */
  async #tailLoop(from: number): Promise<void> {
    const { store, marks, clock } = this.#options;
    const { signal } = this.#abort;
    let after = from;
    while (!signal.aborted)
      try {
        const page = await store.feed.wait({ after, subjects, signal });
        if (page.gap) marks.dropAll(ownTokens);
        for (const { payload } of page.entries) {
          const event = payload as RevocationEvent;
          this.#seen.add(event, { at: clock.now(), floor: after });
          marks.note(ownTokens, event);
        }
        after = page.next;
        this.#head = Math.max(this.#head, after);
      } catch {
        await delay(limits.pollMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
  }
}
