/** Readers that wait for the feed to grow: woken at once by appends of this process, within feedPollMs by those of others. */
import { AllianceError } from '../core/errors.ts';
import { storeLimits } from '../core/limits.ts';

interface Waiter {
  readonly after: number;
  settle(error?: Error): void;
}

export class FeedWaiters {
  readonly #readHead: () => Promise<number>;
  readonly #waiters = new Set<Waiter>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** How far the feed is known to reach. */
  #head = 0;

  constructor(readHead: () => Promise<number>) {
    this.#readHead = readHead;
  }

  /** Settles when the feed has grown beyond `after` or after timeoutMs. Rejects with the signal's reason, or shutting_down. */
  wait(after: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    // Each of these may have happened while the caller was reading.
    if (this.#closed) return Promise.reject(closed());
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#head > after) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const abort = (): void => waiter.settle(signal?.reason as Error);
      const timer = setTimeout(() => waiter.settle(), timeoutMs);
      const waiter: Waiter = {
        after,
        settle: (error) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
          this.#waiters.delete(waiter);
          if (error) reject(error);
          else resolve();
        },
      };
      signal?.addEventListener('abort', abort);
      this.#waiters.add(waiter);
      this.#poll();
    });
  }

  /** The feed now reaches to `head`. */
  announce(head: number): void {
    this.#head = Math.max(this.#head, head);
    this.#wake(head);
  }

  #wake(head: number): void {
    for (const waiter of [...this.#waiters]) if (waiter.after < head) waiter.settle();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const waiter of [...this.#waiters]) waiter.settle(closed());
  }

  /** One timer for all, and none while nobody waits. */
  #poll(): void {
    if (this.#timer || this.#closed || this.#waiters.size === 0) return;
    this.#timer = setTimeout(async () => {
      try {
        this.announce(await this.#readHead());
      } catch {
        // Each waiter reads by itself then, and reports what is wrong.
        this.#wake(Number.POSITIVE_INFINITY);
      }
      this.#timer = undefined;
      this.#poll();
    }, storeLimits.feedPollMs);
  }
}

const closed = (): AllianceError => new AllianceError('shutting_down', { details: 'The store is closed.' });
