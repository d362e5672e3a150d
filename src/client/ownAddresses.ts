/** Addresses of this host's own interfaces, which the dial policy keeps partners away from. */
import { networkInterfaces } from 'node:os';
import { AllianceError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';

export class OwnAddresses {
  readonly #log: Logger;
  readonly #list: typeof networkInterfaces;
  #known: readonly string[] | undefined;
  #failed = false;

  /** `list` asks the system; it throws where a sandbox forbids netlink sockets. */
  constructor(log: Logger, list: typeof networkInterfaces = networkInterfaces) {
    this.#log = log;
    this.#list = list;
  }

  /**
   * As they are now, else as they were when they could last be read. Throws `dial_refused` when they never could: without them nobody
   * can tell whether an address leads to a service of this host.
   */
  read(): readonly string[] {
    try {
      this.#known = Object.values(this.#list()).flatMap((list) => (list ?? []).map((one) => one.address));
      this.#failed = false;
    } catch (cause) {
      this.#report(cause);
      if (!this.#known)
        throw new AllianceError('dial_refused', {
          cause,
          details: `The addresses of this host cannot be listed: ${(cause as Error).message}.`,
          remedy: 'Allow netlink sockets: in a systemd unit, AF_NETLINK in RestrictAddressFamilies.',
        });
    }
    return this.#known;
  }

  /** Once, and not for each connection; again only after it had worked in between. */
  #report(cause: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#log.error({ err: cause }, 'The addresses of this host cannot be listed; that needs AF_NETLINK.');
  }
}
