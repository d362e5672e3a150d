/** What was appended to the feed lately: Keystone tells the same event many times, and of our own revocations once more. */
import { revocationLimits } from '../../core/limits.ts';
import { criteria, type RevocationEvent } from '../../lproxy/keystoneRevocations.ts';

interface Sight {
  readonly revokedAt: number;
  readonly at: number;
  /** Its place in the feed is behind this one. */
  readonly floor: number;
}

export class SeenEvents {
  readonly #seen = new Map<string, Sight>();
  readonly #most: number;

  constructor(most: number = revocationLimits.seen) {
    this.#most = most;
  }

  /** False when it was there already. `floor`: a sequence of the feed from before it is appended. */
  add(event: RevocationEvent, { at, floor }: { readonly at: number; readonly floor: number }): boolean {
    const id = identityOf(event);
    if (this.#seen.has(id)) return false;
    this.#seen.set(id, { revokedAt: event.revokedAt, at, floor });
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= this.#most) break;
      this.#seen.delete(oldest);
    }
    return true;
  }

  /** It was not appended after all. */
  take(event: RevocationEvent): void {
    this.#seen.delete(identityOf(event));
  }

  /** Forgets what Keystone does not tell again when it is asked for what was revoked after `since`. */
  forget(since: number, now: number): void {
    for (const [id, { revokedAt, at }] of this.#seen)
      if (revokedAt <= since && now - at > revocationLimits.seenMs) this.#seen.delete(id);
  }

  /** Everything that is remembered is in the feed behind this sequence; undefined when there is nothing. */
  get floor(): number | undefined {
    let lowest: number | undefined;
    for (const { floor } of this.#seen.values()) lowest = Math.min(floor, lowest ?? floor);
    return lowest;
  }
}

/** One token is revoked once, whoever's clock says when; anything wider may be revoked again. */
function identityOf(event: RevocationEvent): string {
  if (event.auditId !== undefined && criteria.every((name) => name === 'auditId' || event[name] === undefined))
    return event.auditId;
  const { revokedAt, issuedBefore } = event;
  return JSON.stringify([revokedAt, issuedBefore, ...criteria.map((name) => event[name] ?? null)]);
}
