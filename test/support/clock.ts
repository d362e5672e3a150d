/** Real time, and as much more as a test wants: time-outs of hours without waiting. */
import type { Clock } from '../../src/core/clock.ts';
import { testStart } from './store.ts';

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

/** Stands still but for the test: `advance` is time that passes, `set` is what somebody does to the clock on the wall. */
export type SteadyClock = Required<Clock> & { advance(ms: number): void; set(ms: number): void };

export function createSteadyClock(at: number = testStart): SteadyClock {
  let wall = at;
  let elapsed = 0;
  return {
    now: () => wall,
    monotonic: () => elapsed,
    advance: (ms) => {
      wall += ms;
      elapsed += ms;
    },
    set: (ms) => {
      wall += ms;
    },
  };
}
