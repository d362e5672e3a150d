/** Bytes that each partner may have us hold at a time: what it does not read, or sends and does not let us do away with. */
import { AllianceError } from '../core/errors.ts';

const retryAfterMs = 100;

export class ByteShares {
  readonly #held = new Map<string, number>();
  readonly #mostBytes: number;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /**
   * Returns what gives them back; only the first call of it does.
   *
   * @throws AllianceError overloaded where the share is used up
   */
  take(key: string, sizeBytes: number): () => void {
    const held = this.#held.get(key) ?? 0;
    if (held + sizeBytes > this.#mostBytes) throw new AllianceError('overloaded', { retryAfterMs });
    this.#held.set(key, held + sizeBytes);
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      const left = (this.#held.get(key) ?? sizeBytes) - sizeBytes;
      if (left === 0) this.#held.delete(key);
      else this.#held.set(key, left);
    };
  }
}
