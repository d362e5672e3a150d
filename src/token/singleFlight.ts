/** One question at a time about one thing, however many ask it; one more beside it where it has been on its way for long. */
import { AllianceError } from '../core/errors.ts';

export interface Flight {
  /**
   * Whether the answer may be remembered: not once something has ended meanwhile that it may not know of, nor when this was said to a
   * flight that started later.
   */
  mayKeep(): boolean;
}

interface Running<V> {
  keep: boolean;
  readonly answer: Promise<V>;
  readonly startedAt: number;
  askers: number;
}

export interface FlightOptions {
  readonly limits: {
    /** Who wait at a time, over all flights. */
    readonly askers: number;
    /** Nobody joins a flight that is older. */
    readonly joinMs: number;
    /** Flights of one key at a time. */
    readonly questionsAlike: number;
  };
  /** Monotonic, ms. */
  readonly now: () => number;
}

export class SingleFlight<V> {
  /** The newest last. */
  readonly #running = new Map<string, readonly Running<V>[]>();
  readonly #options: FlightOptions;
  #askers = 0;

  constructor(options: FlightOptions) {
    this.#options = options;
  }

  /** Everyone who asks while the work is under way gets what comes of it, failures too. Rejects with `overloaded` where too many wait. */
  run(key: string, work: (flight: Flight) => Promise<V>): Promise<V> {
    const { limits, now } = this.#options;
    const alike = this.#running.get(key) ?? [];
    const startedAt = now();
    const newest = alike.at(-1);
    const joined = newest && startedAt - newest.startedAt <= limits.joinMs ? newest : undefined;
    if (this.#askers >= limits.askers || (!joined && alike.length >= limits.questionsAlike))
      return Promise.reject(new AllianceError('overloaded'));
    this.#askers += 1;
    if (joined) {
      joined.askers += 1;
      return joined.answer;
    }
    const mayKeep = (): boolean => {
      if (started.keep) for (const older of alike) older.keep = false;
      return started.keep;
    };
    // Never thrown from here, so that it is in the Map before it ends.
    const answer = Promise.resolve().then(() => work({ mayKeep }));
    const started: Running<V> = { keep: true, answer, startedAt, askers: 1 };
    this.#running.set(key, [...alike, started]);
    const end = (): void => {
      this.#askers -= started.askers;
      const left = this.#running.get(key)?.filter((running) => running !== started) ?? [];
      if (left.length > 0) this.#running.set(key, left);
      else this.#running.delete(key);
    };
    answer.then(end, end);
    return answer;
  }

  /** What was asked until now is answered and not remembered, and nobody joins it any more. */
  abandon(match: (key: string) => boolean): void {
    for (const [key, alike] of this.#running) {
      if (!match(key)) continue;
      for (const flight of alike) flight.keep = false;
      this.#running.delete(key);
    }
  }
}
