/** So many at a time, in the order in which they came. */
import { reasonOf } from './retry.ts';

export interface Slots {
  /** @throws AllianceError the signal's reason, while it waits; else what the work throws */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

export function createSlots(atOnce: number): Slots {
  let free = atOnce;
  const waiting = new Set<() => void>();

  async function enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw reasonOf(signal);
    if (free > 0) {
      free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        waiting.delete(go);
        reject(reasonOf(signal));
      };
      // The slot of whoever leaves is this one's then.
      const go = (): void => {
        signal.removeEventListener('abort', end);
        resolve();
      };
      signal.addEventListener('abort', end, { once: true });
      waiting.add(go);
    });
  }

  function leave(): void {
    const [next] = waiting;
    if (!next) free += 1;
    else {
      waiting.delete(next);
      next();
    }
  }

  return {
    run: async (work, signal) => {
      await enter(signal);
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
