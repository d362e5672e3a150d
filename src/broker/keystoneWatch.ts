/**
 * What is known of this cloud's Keystone without asking it: how the broker's last login, validation or look ended. Readiness and metrics
 * read it, so that neither waits for a Keystone that hangs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { toAllianceError } from '../core/errors.ts';
import { keystoneLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Keystone, KeystoneOperation, KeystoneOutcome } from '../lproxy/keystone.ts';

/** `unknown` until something has ended; else `ok` or the name of an error. */
export type KeystoneState = 'unknown' | 'ok' | Extract<KeystoneOutcome, `keystone_${string}`>;

/** What a look asks for: it needs a login, and no right beyond that. Partners do not cause it. */
const lookOperation = 'regions';
const isFailure = (outcome: KeystoneOutcome): outcome is Extract<KeystoneState, `keystone_${string}`> =>
  outcome.startsWith('keystone_');

export class KeystoneWatch {
  readonly #log: Logger;
  #latest: KeystoneState = 'unknown';
  /** The broker may log in and may not validate tokens; no look would notice, and only a new login brings new rights. */
  #mayNotValidate = false;
  #nextLookAt = 0;
  #closed = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  get state(): KeystoneState {
    return this.#latest === 'ok' && this.#mayNotValidate ? 'keystone_refused' : this.#latest;
  }

  /** Takes note of how an operation ended. One that partners have not the same need of, such as a list of services, says little. */
  note(operation: KeystoneOperation, outcome: KeystoneOutcome): void {
    if (this.#closed) return;
    if (operation !== 'login' && operation !== 'validate' && operation !== lookOperation) return;
    const failed = isFailure(outcome);
    // The rest is our own doing, such as a full queue.
    if (!failed && outcome !== 'ok' && outcome !== 'invalid') return;
    const before = this.state;
    this.#latest = failed ? outcome : 'ok';
    if (operation === 'validate') this.#mayNotValidate = outcome === 'keystone_refused';
    if (operation === 'login' && !failed) this.#mayNotValidate = false;
    this.#tell(before);
  }

  /** Logs in if need be, and asks something small. Never throws, and takes at most `keystoneLimits.lookTimeoutMs`. */
  async look(keystone: Keystone, signal: AbortSignal): Promise<void> {
    if (performance.now() < this.#nextLookAt) return;
    // Whoever is too busy for a look serves nobody; other failures have been noted.
    const answered = keystone
      .listRegions()
      .catch((thrown: unknown) => (toAllianceError(thrown).errorName === 'overloaded' ? 'late' : undefined));
    const over = new AbortController();
    const until = { signal: AbortSignal.any([signal, over.signal]), ref: false };
    const late = delay(keystoneLimits.lookTimeoutMs, 'late', until).catch(() => undefined);
    const before = this.state;
    if ((await Promise.race([answered, late])) === 'late') this.#latest = 'keystone_unreachable';
    over.abort();
    this.#tell(before);
    // Keystone may lock a user after too many failures.
    if (this.state === 'keystone_refused') this.#nextLookAt = performance.now() + keystoneLimits.lookAfterRefusalMs;
  }

  /** What ends with the broker says nothing of Keystone. */
  close(): void {
    this.#closed = true;
  }

  #tell(before: KeystoneState): void {
    const { state } = this;
    if (state === before) return;
    if (state !== 'ok') this.#log.warn({ outcome: state }, 'Keystone does not serve this broker.');
    else if (before !== 'unknown') this.#log.info('Keystone serves this broker again.');
  }
}
