/** Changes of one image, one after the other: what comes of one depends on whether another is still under way. */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';

interface Turn {
  last: Promise<unknown>;
  count: number;
}

export class Turns {
  readonly #turns = new Map<string, Turn>();

  /** @throws AllianceError overloaded where too many wait for the same */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(key) ?? { last: Promise.resolve(), count: 0 };
    if (turn.count > partnerImageLimits.turnsWaiting)
      throw new AllianceError('overloaded', { details: 'Too many changes of one image wait.', retryAfterMs: 1000 });
    this.#turns.set(key, turn);
    turn.count++;
    const result = turn.last.then(work);
    // Its failure is told to who asked for it, and keeps nobody from the next turn.
    turn.last = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      turn.count--;
      if (turn.count === 0) this.#turns.delete(key);
    }
  }
}
