/**
 * What this cloud tells partners unasked: that there are new revocations, and which tokens it has just issued. Only those hear of it that
 * read lately. Both may be lost: revocations are read all the same, and a token can be recognised in other ways.
 */
import type { ClientPool } from '../client/pool.ts';
import type { TrustView } from '../client/trustView.ts';
import type { Clock } from '../core/clock.ts';
import type { PartnerUid } from '../core/ids.ts';
import { hintLimits, revocationLimits as limits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { popToken, pushToken } from '../rproxy/tokens.ts';
import type { Hints } from './hints.ts';
import type { OwnToken } from './ownTokens.ts';
import { isIssuedForm } from './routing/qualified.ts';

interface Reader {
  readAt: number;
  announceAt: number | null;
  /** To be told, null: nothing. */
  head: number | null;
  announcements: { readonly hint: Buffer; readonly expiresAt: number }[];
  busy: boolean;
}

export interface NoticesOptions {
  readonly pool: ClientPool;
  readonly view: TrustView;
  readonly hints: Hints;
  readonly clock: Clock;
}

export class PartnerNotices {
  readonly #options: NoticesOptions;
  readonly #readers = new Map<PartnerUid, Reader>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** The partner reads our revocations; with `announce`, it wants to hear of fresh tokens, too. */
  asked({ uid }: Partner, announce: boolean): void {
    const now = this.#options.clock.now();
    const known = this.#readers.get(uid);
    const reader = known ?? { readAt: now, announceAt: null, head: null, announcements: [], busy: false };
    reader.readAt = now;
    reader.announceAt = announce ? now : null;
    this.#readers.set(uid, reader);
  }

  /** There are revocations up to `head`. */
  pop(head: number): void {
    for (const [partner, reader] of this.#active()) {
      reader.head = head;
      this.#send(partner, reader);
    }
  }

  /** This cloud has just issued the token. */
  announce({ token, expiresAt, auditId }: OwnToken): void {
    const { hints, view, clock } = this.#options;
    // Nobody would ask about it.
    if (!isIssuedForm(token)) return;
    hints.learn({ token, expiresAt, auditId }, 'issued');
    for (const [partner, reader] of this.#active()) {
      const { announceAt, announcements } = reader;
      if (announceAt === null || clock.now() - announceAt > limits.readerMs) continue;
      if (announcements.length >= hintLimits.waiting) continue;
      announcements.push({ hint: hints.hintFor(token, partner.cloudId, view.cloudId), expiresAt });
      this.#send(partner, reader);
    }
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#readers.clear();
  }

  #active(): [Partner, Reader][] {
    const { view, clock } = this.#options;
    return [...this.#readers].flatMap(([uid, reader]) => {
      const partner = view.partnerByUid(uid);
      const isActive = partner && partner.role !== 'provider' && view.stateOf(partner) === 'active';
      if (isActive && clock.now() - reader.readAt <= limits.readerMs) return [[partner, reader]];
      this.#readers.delete(uid);
      return [];
    });
  }

  /** At once, and whatever comes until a little later together. */
  #send(partner: Partner, reader: Reader): void {
    if (reader.busy) return;
    reader.busy = true;
    const { pool } = this.#options;
    const { head, announcements } = reader;
    reader.head = null;
    reader.announcements = [];
    const sent = announcements.map(({ hint, expiresAt }) => pushToken(pool, partner, hint, expiresAt));
    if (head !== null) sent.push(popToken(pool, partner, head));
    Promise.allSettled(sent).then(() => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        reader.busy = false;
        if (reader.head !== null || reader.announcements.length > 0) this.#send(partner, reader);
      }, limits.noticeEveryMs);
      timer.unref();
      this.#timers.add(timer);
    });
  }
}
