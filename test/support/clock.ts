/** Real time, and as much more as a test wants: time-outs of hours without waiting. */
import type { Clock } from '../../src/core/clock.ts';

export interface ShiftedClock extends Clock {
  advance(ms: number): void;
}

export function createShiftedClock(): ShiftedClock {
  let offsetMs = 0;
  return {
    now: () => Date.now() + offsetMs,
    advance: (ms) => {
      offsetMs += Math.round(ms);
    },
  };
}
