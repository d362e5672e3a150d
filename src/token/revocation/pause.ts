/** Waiting that somebody may cut short. */

export class Pause {
  #timer: NodeJS.Timeout | undefined;
  #resolve: (() => void) | undefined;
  #notBefore = 0;
  #ended = false;

  /** Resolves after `ms`, or once it is woken, but not before `leastMs`; at once after `end`. One waits at a time. */
  wait(ms: number, leastMs = 0): Promise<void> {
    if (this.#ended || ms <= 0) return Promise.resolve();
    this.#notBefore = performance.now() + Math.min(ms, leastMs);
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#arm(ms);
    });
  }

  wake(): void {
    if (this.#resolve) this.#arm(Math.max(0, this.#notBefore - performance.now()));
  }

  end(): void {
    this.#ended = true;
    this.#finish();
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#finish(), ms);
    this.#timer.unref();
  }

  #finish(): void {
    clearTimeout(this.#timer);
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.();
  }
}
