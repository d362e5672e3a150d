/** One question at a time about one thing, however many ask it. */
import { AllianceError } from '../core/errors.ts';

export interface Flight {
  /** Whether the answer may be remembered: false once something has ended meanwhile that it may not know of. */
  readonly keep: boolean;
}

interface Running<V> {
  readonly flight: { keep: boolean };
  readonly answer: Promise<V>;
  askers: number;
}

export class SingleFlight<V> {
  readonly #running = new Map<string, Running<V>>();
  readonly #limit: number;
  #askers = 0;

  /** At most `limit` askers wait at a time, over all flights. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Everyone who asks while the work is under way gets what comes of it, failures too. Rejects with `overloaded` where too many wait. */
  run(key: string, work: (flight: Flight) => Promise<V>): Promise<V> {
    if (this.#askers >= this.#limit) return Promise.reject(new AllianceError('overloaded'));
    this.#askers += 1;
    const running = this.#running.get(key);
    if (running) {
      running.askers += 1;
      return running.answer;
    }
    const flight = { keep: true };
    // Never thrown from here, so that it is in the Map before it ends.
    const answer = Promise.resolve().then(() => work(flight));
    const started: Running<V> = { flight, answer, askers: 1 };
    this.#running.set(key, started);
    const end = (): void => {
      this.#askers -= started.askers;
      if (this.#running.get(key) === started) this.#running.delete(key);
    };
    answer.then(end, end);
    return answer;
  }

  /** What was asked until now is answered and not remembered, and nobody joins it any more. */
  abandon(match: (key: string) => boolean): void {
    for (const [key, { flight }] of this.#running) {
      if (!match(key)) continue;
      flight.keep = false;
      this.#running.delete(key);
    }
  }
}
