/** Token buckets by key, bounded in number. Pure but for the clock that is passed in. */

interface Bucket {
  tokens: number;
  at: number;
}

export interface RateOptions {
  /** Tokens that come back each second; 0 means no limit. */
  readonly perS: number;
  readonly burst: number;
}

export class Rates {
  readonly #buckets = new Map<string, Bucket>();
  readonly #maxKeys: number;

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  /** Takes `cost` tokens and returns 0, or takes nothing and returns the milliseconds until there are enough. `now` in ms. */
  take(key: string, { perS, burst }: RateOptions, now: number, cost = 1): number {
    if (perS === 0) return 0;
    const bucket = this.#bucket(key, burst, now);
    bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.at) * perS) / 1000);
    bucket.at = now;
    if (bucket.tokens >= cost) {
      bucket.tokens -= cost;
      return 0;
    }
    return Math.ceil(((cost - bucket.tokens) * 1000) / perS);
  }

  /** Takes `cost` tokens even when there are not enough, and returns the milliseconds until the debt is paid. */
  charge(key: string, { perS, burst }: RateOptions, now: number, cost: number): number {
    const waitMs = this.take(key, { perS, burst }, now, cost);
    if (waitMs > 0) this.#buckets.get(key)!.tokens -= cost;
    return waitMs;
  }

  #bucket(key: string, burst: number, now: number): Bucket {
    const known = this.#buckets.get(key);
    const full = this.#buckets.size >= this.#maxKeys;
    if (known) {
      // Taken out and put in again it is the youngest of the Map; as long as nothing is forgotten, age does not matter.
      if (full && this.#buckets.delete(key)) this.#buckets.set(key, known);
      return known;
    }
    if (full) this.#forgetOldest();
    const bucket = { tokens: burst, at: now };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #forgetOldest(): void {
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
