/** Requests to Glance on behalf of partners: few at a time for each, so that no partner takes it from the others. */
import PQueue from 'p-queue';
import { AllianceError } from '../../core/errors.ts';
import type { PartnerUid } from '../../core/ids.ts';
import { partnerImageLimits } from '../../core/limits.ts';

export class GlanceQueues {
  readonly #queues = new Map<PartnerUid, PQueue>();

  async run<T>(uid: PartnerUid, work: () => Promise<T>): Promise<T> {
    const { concurrency, waiting, waitMs } = partnerImageLimits;
    const queue = this.#queues.get(uid) ?? new PQueue({ concurrency });
    this.#queues.set(uid, queue);
    const overloaded = new AllianceError('overloaded', {
      details: 'Too many requests of this partner wait for Glance.',
      retryAfterMs: 1000,
    });
    if (queue.size >= waiting) throw overloaded;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(overloaded), waitMs);
    const begin = (): Promise<T> => {
      clearTimeout(timer);
      return work();
    };
    return queue.add(begin, late);
  }
}
