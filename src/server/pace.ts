/** How fast one connection is read from: held back for a time, and charged for what it carries. */
import { partnerConfig } from '../core/config.ts';
import { partnerLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import type { ServerContext } from './context.ts';

export interface PaceOptions {
  readonly context: ServerContext;
  readonly pause: () => void;
  /** A hold is over; others may remain. */
  readonly resume: () => void;
}

export class Pace {
  readonly #options: PaceOptions;
  #timer: NodeJS.Timeout | undefined;
  /** What was sent and not charged yet. */
  #sentBytes = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Whether there is a hold now. */
  get held(): boolean {
    return this.#timer !== undefined;
  }

  /** Reads nothing for so long; a hold that is there already is not made longer. */
  hold(waitMs: number): void {
    if (this.#timer) return;
    this.#options.pause();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#options.resume();
    }, waitMs);
    this.#timer.unref();
  }

  /** Bytes that came from a partner. One that has more than it may is read from more slowly. */
  received(partner: Partner, sizeBytes: number): void {
    const waitMs = this.#charge(partner, sizeBytes);
    if (waitMs > 0) this.hold(waitMs);
  }

  /** Bytes that went to a partner: a look at the clock for each answer would cost more than the answer's share of them. */
  sent(partner: Partner, sizeBytes: number): void {
    this.#sentBytes += sizeBytes;
    if (this.#sentBytes >= partnerLimits.chargeBytes) this.received(partner, 0);
  }

  /** The connection is over; what it still owes is charged to its partner. */
  end(partner: Partner | undefined): void {
    if (partner && this.#sentBytes > 0) this.#charge(partner, 0);
    clearTimeout(this.#timer);
  }

  #charge({ uid, cloudId }: Partner, sizeBytes: number): number {
    const { rates, config, clock } = this.#options.context;
    const { bytesPerS } = partnerConfig(config(), cloudId);
    const sumBytes = sizeBytes + this.#sentBytes;
    this.#sentBytes = 0;
    if (bytesPerS === 0) return 0;
    const rate = { perS: bytesPerS, burst: Math.max(1, bytesPerS) };
    return rates.partners.charge(`bytes:${uid}`, rate, clock.now(), sumBytes);
  }
}
