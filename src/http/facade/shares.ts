/**
 * Requests under way that wait for somebody: each has at most as many as it leaves to all others. So whoever lets them wait, one partner or
 * many, there is room for the next one, and none of it is taken from this cloud's own tokens.
 */
export class Shares {
  readonly #total: number;
  readonly #held = new Map<string, number>();
  #count = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Undefined, and nothing done, where `whom` has its share already. */
  async run<T>(whom: string, work: () => Promise<T>): Promise<T | undefined> {
    const held = this.#held.get(whom) ?? 0;
    if (held >= this.#total - this.#count) return undefined;
    this.#count += 1;
    this.#held.set(whom, held + 1);
    try {
      return await work();
    } finally {
      this.#count -= 1;
      const left = this.#held.get(whom)! - 1;
      if (left > 0) this.#held.set(whom, left);
      else this.#held.delete(whom);
    }
  }
}
