/** Whoever holds something of Glance's has to get on: in each period so many bytes, or it ends. */
import { partnerImageLimits } from '../../core/limits.ts';

export interface LeastRateOptions {
  /** Whether it is not the partner that is slow. */
  readonly excused: () => boolean;
  readonly tooSlow: () => void;
  readonly periodMs?: number | undefined;
}

export class LeastRate {
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  constructor({ excused, tooSlow, periodMs = partnerImageLimits.leastRateMs }: LeastRateOptions) {
    const leastBytes = (partnerImageLimits.leastBytesPerS * periodMs) / 1000;
    this.#timer = setInterval(() => {
      const slow = this.#bytes < leastBytes && !excused();
      this.#bytes = 0;
      if (slow) tooSlow();
    }, periodMs).unref();
  }

  count(sizeBytes: number): void {
    this.#bytes += sizeBytes;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
