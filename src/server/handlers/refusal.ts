/** Refusals that tell nothing by the time they take. */
import { setTimeout as delay } from 'node:timers/promises';

/** Waits until `delayMs` after the arrival of the call, which is given as performance.now(). */
export const untilAfter = (arrivedAt: number, delayMs: number): Promise<void> =>
  delay(Math.max(0, arrivedAt + delayMs - performance.now()));
