/** A Map that holds so many entries and no more: the one that was put in longest ago goes first. */
export class Bounded<V> {
  readonly #entries = new Map<string, V>();
  readonly #limit: () => number;

  /** `limit` may be a function where a reload can change it; it holds from the next entry on. */
  constructor(limit: number | (() => number)) {
    this.#limit = typeof limit === 'number' ? () => limit : limit;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: V): void {
    // Taken out and put in again, it is the youngest.
    this.#entries.delete(key);
    this.#entries.set(key, value);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#limit()) return;
      this.#entries.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
