/** Real time, and as much more as a test wants: time-outs of hours without waiting. */
import type { Clock } from '../../src/core/clock.ts';

export interface ShiftedClock extends Clock {
  /** Sets the clock forward. */
  advance(ms: number): void;
  /** Lets time pass that no clock shows, as silence is measured by. */
  elapse(ms: number): void;
}

export function createShiftedClock(): ShiftedClock {
  let offsetMs = 0;
  let elapsedMs = 0;
  return {
    now: () => Date.now() + offsetMs,
    monotonic: () => performance.now() + elapsedMs,
    advance: (ms) => {
      offsetMs += Math.round(ms);
    },
    elapse: (ms) => {
      elapsedMs += ms;
    },
  };
}
