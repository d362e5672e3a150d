/** How often partners are asked whose a token is: less often than they answer, and no caller uses up what others need. */
import { AllianceError } from '../core/errors.ts';
import { foreignLimits } from '../core/limits.ts';
import { Rates } from '../core/rates.ts';

const perCaller = { perS: foreignLimits.searchesPerCallerPerS, burst: foreignLimits.searchesPerCallerBurst };
const inAll = { perS: foreignLimits.searchesPerS, burst: foreignLimits.searchesBurst };

export class SearchRates {
  readonly #callers = new Rates(foreignLimits.searchers);
  readonly #all = new Rates(1);
  readonly #now: () => number;

  /** `now`: monotonic, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts one search; `caller` is undefined where it is nobody's but ours. @throws AllianceError rate_limited */
  take(caller: string | undefined): void {
    const now = this.#now();
    const waitMs =
      (caller === undefined ? 0 : this.#callers.take(caller, perCaller, now)) || this.#all.take('', inAll, now);
    if (waitMs > 0)
      throw new AllianceError('rate_limited', {
        details: 'Too many unknown tokens to ask about.',
        retryAfterMs: waitMs,
      });
  }
}
