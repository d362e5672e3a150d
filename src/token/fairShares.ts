/** A bounded map that several owners share fairly: where it is full, the one that holds the most gives up what it put in longest ago. */

export interface FairBounds {
  readonly entries: number;
  /** Of all entries together. */
  readonly weight: number;
}

interface Share<V> {
  readonly entries: Map<string, { readonly value: V; readonly weight: number }>;
  weight: number;
}

export class FairShares<O extends string, V> {
  readonly #shares = new Map<O, Share<V>>();
  readonly #bounds: () => FairBounds;
  readonly #onEvict: (owner: O, value: V) => void;
  #size = 0;
  #weight = 0;

  /** `bounds` are looked at with every entry that comes; `onEvict` hears of those that had to go for others. */
  constructor(bounds: () => FairBounds, onEvict: (owner: O, value: V) => void = () => {}) {
    this.#bounds = bounds;
    this.#onEvict = onEvict;
  }

  get(owner: O, key: string): V | undefined {
    return this.#shares.get(owner)?.entries.get(key)?.value;
  }

  set(owner: O, key: string, value: V, weight: number): void {
    this.delete(owner, key);
    const share = this.#shares.get(owner) ?? { entries: new Map(), weight: 0 };
    this.#shares.set(owner, share);
    share.entries.set(key, { value, weight });
    this.#add(share, 1, weight);
    const bounds = this.#bounds();
    while (this.#size > bounds.entries || this.#weight > bounds.weight) this.#evict(bounds);
  }

  delete(owner: O, key: string): void {
    const share = this.#shares.get(owner);
    const entry = share?.entries.get(key);
    if (!share || !entry) return;
    share.entries.delete(key);
    this.#add(share, -1, -entry.weight);
    if (share.entries.size === 0) this.#shares.delete(owner);
  }

  clear(): void {
    this.#shares.clear();
    this.#size = 0;
    this.#weight = 0;
  }

  /** What is taken out while it is gone through is not seen again. */
  *[Symbol.iterator](): IterableIterator<readonly [owner: O, key: string, value: V]> {
    for (const [owner, { entries }] of this.#shares) for (const [key, { value }] of entries) yield [owner, key, value];
  }

  #add(share: Share<V>, entries: 1 | -1, weight: number): void {
    share.weight += weight;
    this.#weight += weight;
    this.#size += entries;
  }

  #evict({ entries, weight }: FairBounds): void {
    let [most, owner]: [number, O | undefined] = [-1, undefined];
    for (const [each, share] of this.#shares) {
      const part = Math.max(share.entries.size / entries, share.weight / weight);
      if (part > most) [most, owner] = [part, each];
    }
    const [key, { value }] = this.#shares.get(owner!)!.entries.entries().next().value!;
    this.delete(owner!, key);
    this.#onEvict(owner!, value);
  }
}
