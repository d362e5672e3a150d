/** Connections of one kind: who wants one waits in line, but not for ever behind those that last. */
import type { AllianceError } from '../core/errors.ts';

export interface SeatsOptions {
  readonly most: number;
  readonly waitMs: number;
  /** What is thrown after `waitMs`. */
  readonly late: () => AllianceError;
}

export class Seats {
  readonly #options: SeatsOptions;
  /** In the order they came. */
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(options: SeatsOptions) {
    this.#options = options;
  }

  /** Returns how to give it back; only the first time counts. @throws `late`, or the reason of the signal */
  async take(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#taken < this.#options.most) this.#taken++;
    else await this.#wait(signal);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#giveBack();
    };
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    const { waitMs, late } = this.#options;
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(sit);
      };
      const sit = () => {
        leave();
        resolve();
      };
      const onAbort = () => {
        leave();
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        leave();
        reject(late());
      }, waitMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(sit);
    });
  }

  /** To the one that waits for longest. */
  #giveBack(): void {
    const [next] = this.#waiting;
    if (next) next();
    else this.#taken--;
  }
}
