/** Logs what may come thousands of times a second: the first time, and from then on at most once a minute for each origin, with the number. */
import { connectionLimits } from './limits.ts';

interface Origin {
  loggedAt: number;
  /** Times since that line. */
  unlogged: number;
}

export class RefusalLog {
  readonly #origins = new Map<string, Origin>();
  readonly #maxOrigins: number;

  constructor(maxOrigins: number = connectionLimits.trackedRefusals) {
    this.#maxOrigins = maxOrigins;
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
    this.#origins.delete(origin);
    if (this.#origins.size >= this.#maxOrigins) this.#forgetOldest();
    this.#origins.set(origin, { loggedAt: now, unlogged: 0 });
    return 1 + (known?.unlogged ?? 0);
  }

  #forgetOldest(): void {
    const [oldest] = this.#origins.keys();
    if (oldest !== undefined) this.#origins.delete(oldest);
  }
}
