/** Time as an argument, so that tests can turn it. UTC epoch milliseconds. */
export interface Clock {
  now(): number;
  /** Milliseconds since some moment, which no setting of the clock changes; default performance.now(). */
  monotonic?(): number;
}

export const dayMs = 86_400_000;

export const systemClock: Clock = { now: () => Date.now() };

export const monotonic = (clock: Clock): number => clock.monotonic?.() ?? performance.now();
