/** Trying again: pauses that grow, with jitter so that many do not come back at once, and that end at once when the run does. */
import { setTimeout as delay } from 'node:timers/promises';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { transferLimits } from '../../core/limits.ts';

/** Before attempt 2, 3, ...; `failures` counts from 1. */
export function pauseMs(failures: number, random: () => number = Math.random): number {
  const { retryMs, retryMaxMs } = transferLimits;
  return Math.min(retryMs * 2 ** Math.min(failures - 1, 30), retryMaxMs) * (0.5 + random() / 2);
}

/** Why a signal ended what it ended. */
export const reasonOf = (signal: AbortSignal): AllianceError =>
  signal.reason instanceof AllianceError
    ? signal.reason
    : new AllianceError('shutting_down', { details: 'It was ended from outside.', cause: signal.reason });

/** @throws AllianceError the signal's reason */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { ...(signal && { signal }) });
  } catch (error) {
    throw signal?.aborted ? reasonOf(signal) : error;
  }
}

export interface RetryOptions {
  readonly signal?: AbortSignal;
  /** All in all. */
  readonly attempts?: number;
}

/** For work that may be repeated; only what may succeed later is tried again. Whatever is thrown is an AllianceError. */
export async function retrying<T>(
  work: (attempt: number) => Promise<T>,
  { signal, attempts = transferLimits.attempts }: RetryOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      signal?.throwIfAborted();
      return await work(attempt);
    } catch (thrown) {
      if (signal?.aborted) throw reasonOf(signal);
      const error = toAllianceError(thrown);
      if (!error.retryable || attempt >= attempts) throw error;
      await pause(Math.max(pauseMs(attempt), error.retryAfterMs ?? 0), signal);
    }
}
