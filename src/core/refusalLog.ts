/** Logs what may come thousands of times a second: the first time, and from then on at most once a minute for each origin, with the number. */
import { Bounded } from './bounded.ts';
import { connectionLimits } from './limits.ts';

interface Origin {
  loggedAt: number;
  /** Times since that line. */
  unlogged: number;
}

export class RefusalLog {
  readonly #origins: Bounded<Origin>;

  constructor(maxOrigins: number = connectionLimits.trackedRefusals) {
    this.#origins = new Bounded(maxOrigins);
  }

  /**
   * How many times `origin` was noted since it was last logged, if a line is due; else 0. The times between are kept for the next line.
   * `now` in ms, of a clock that never goes back.
   */
  note(origin: string, now: number): number {
    const known = this.#origins.get(origin);
    if (known && now - known.loggedAt < connectionLimits.refusalLogMs) {
      known.unlogged++;
      return 0;
    }
    this.#origins.set(origin, { loggedAt: now, unlogged: 0 });
    return 1 + (known?.unlogged ?? 0);
  }
}
