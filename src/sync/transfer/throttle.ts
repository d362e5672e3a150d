/** A token bucket that all transfers of a run share. */
import { type Clock, monotonic, systemClock } from '../../core/clock.ts';
import { transferLimits } from '../../core/limits.ts';
import { type Bandwidth, bandwidthAt } from './bandwidth.ts';
import { pause } from './retry.ts';

export interface Throttle {
  /**
   * Waits until some of these bytes may flow, and returns how many: at least one.
   *
   * @throws AllianceError the signal's reason
   */
  take(bytes: number, signal: AbortSignal): Promise<number>;
}

const minuteOf = (now: number): number => {
  const date = new Date(now);
  return date.getHours() * 60 + date.getMinutes();
};

/** Null: without a limit. */
export function createThrottle(bandwidth: Bandwidth | null, clock: Clock = systemClock): Throttle {
  if (bandwidth === null) return { take: async (bytes) => bytes };
  /** When what was promised so far has flowed, in monotonic ms. */
  let freeAt = Number.NEGATIVE_INFINITY;
  return {
    take: async (bytes, signal) => {
      for (;;) {
        const rate = bandwidthAt(bandwidth, minuteOf(clock.now()));
        if (rate === null) return bytes;
        const now = monotonic(clock);
        const waitMs = freeAt - now;
        if (waitMs <= 0) {
          // Little by little, or whoever stores it would think at a low rate that nothing comes any more.
          const some = Math.min(bytes, Math.ceil((rate * transferLimits.burstMs) / 1000));
          freeAt = Math.max(freeAt, now - transferLimits.burstMs) + (some * 1000) / rate;
          return some;
        }
        // Not longer than that, since the timetable may say something else by then.
        await pause(Math.min(waitMs, transferLimits.timetableMs), signal);
      }
    },
  };
}
