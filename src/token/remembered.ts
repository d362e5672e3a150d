/** Answers that count for a short while, by key: bounded in age and number, and asked for once however many wait. */
import { Bounded } from '../core/bounded.ts';
import { type Clock, monotonic } from '../core/clock.ts';
import { localiseLimits } from '../core/limits.ts';

interface Entry<T> {
  readonly answer: Promise<T | null>;
  /** By the monotonic clock; Infinity while it is under way. */
  till: number;
}

export class Remembered<T> {
  readonly #clock: Clock;
  readonly #knownMs: number;
  readonly #entries = new Bounded<Entry<T>>(localiseLimits.entries);

  constructor(clock: Clock, knownMs: number = localiseLimits.knownMs) {
    this.#clock = clock;
    this.#knownMs = knownMs;
  }

  /** Null, which is asked for again soon, is what is not there. A failure is not remembered. */
  get(key: string, ask: () => Promise<T | null>): Promise<T | null> {
    const known = this.#entries.get(key);
    if (known && monotonic(this.#clock) < known.till) return known.answer;
    const entry: Entry<T> = { answer: ask(), till: Number.POSITIVE_INFINITY };
    this.#entries.set(key, entry);
    entry.answer.then(
      (answer) => {
        entry.till = monotonic(this.#clock) + (answer === null ? localiseLimits.missingMs : this.#knownMs);
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry.answer;
  }
}
