/** Signatures, a few at a time on the thread pool; who would have to wait behind too many others is refused. */
import PQueue from 'p-queue';
import { AllianceError } from '../core/errors.ts';
import { sessionLimits } from '../core/limits.ts';
import type { ServerContext } from './context.ts';

/** As many as the thread pool has threads: more at a time would only make everybody wait longer. */
const concurrency = 4;

export function createSignQueue(): ServerContext['sign'] {
  const queue = new PQueue({ concurrency });
  return (work) => {
    if (queue.size >= sessionLimits.signQueue)
      return Promise.reject(new AllianceError('overloaded', { retryAfterMs: 1000, details: 'Handshakes queue up.' }));
    return queue.add(work);
  };
}
