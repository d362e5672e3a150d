/**
 * The session to use towards a partner: a stored one while it is fresh, else a handshake. Sessions are stored and shared by all
 * processes of the broker; a lease sees to it that one of them does the handshake and the others wait for its result.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type AgreedSession, type PinnedKey, startSession } from '../channel/handshake.ts';
import type { Attempt, Ticket } from '../channel/tickets.ts';
import type { Clock } from '../core/clock.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { newRequestId, type SessionId } from '../core/ids.ts';
import { clientLimits, sessionLimits, storeLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { handshakeEntry } from '../model/auditActs.ts';
import type { Partner } from '../model/partner.ts';
import type { Continuity, StoredSession } from '../model/session.ts';
import type { Store } from '../model/store.ts';
import { SessionTKT } from '../wire/types.ts';
import type { ClientConnection } from './connection.ts';
import type { TrustView } from './trustView.ts';

export interface SessionSourceOptions {
  readonly store: Store;
  readonly view: TrustView;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
}

const leasePollMs = 100;

export const toTicket = (t: SessionTKT): Ticket => ({
  cloudId: t.cloud_id,
  signature: t.signature,
  pkiData: t.pki_data,
});

export const fromTicket = ({ cloudId, signature, pkiData }: Ticket): SessionTKT =>
  new SessionTKT({ cloud_id: cloudId, signature, pki_data: pkiData });

export class SessionSource {
  readonly #options: SessionSourceOptions;
  /** This process, as a holder of leases. */
  readonly #holder = newRequestId();

  constructor(options: SessionSourceOptions) {
    this.#options = options;
  }

  /**
   * A stored session that is not due for renewal, or a new one, agreed over `connection`. `key` is the partner's key that the
   * connection leads to. With `renew` a stored one is not good enough.
   */
  async obtain(
    partner: Partner,
    key: PinnedKey,
    connection: ClientConnection,
    renew: boolean = false,
  ): Promise<StoredSession> {
    const { store, clock } = this.#options;
    const stored = renew ? null : await this.#usable(partner, key);
    if (stored) return stored;
    const lease = `session:${partner.uid}`;
    const startedAt = clock.now();
    const giveUpAt = performance.now() + storeLimits.leaseMs;
    while (!(await store.leases.acquire(lease, this.#holder, storeLimits.leaseMs))) {
      await delay(leasePollMs);
      const made = await this.#usable(partner, key);
      if (made && (!renew || made.createdAt >= startedAt)) return made;
      if (performance.now() > giveUpAt)
        throw new AllianceError('deadline_exceeded', { details: 'Another process holds the lease on the handshake.' });
    }
    try {
      // Between the first look and the lease another process may have finished.
      const made = await this.#usable(partner, key);
      if (made && (!renew || made.createdAt >= startedAt)) return made;
      return await this.#agree(partner, key, connection);
    } finally {
      await store.leases.release(lease, this.#holder);
    }
  }

  /** The newest live session between these two keys, unless it is due for renewal. */
  async #usable(partner: Partner, key: PinnedKey): Promise<StoredSession | null> {
    const { store, view, clock } = this.#options;
    const now = clock.now();
    const session = await store.sessions.newest(partner.uid, 'initiator', now);
    if (!session) return null;
    const own = view.identityFor(partner);
    const ofTheseKeys =
      equalBytes(session.partnerFingerprint, key.fingerprint) && equalBytes(session.ownFingerprint, own.fingerprint);
    const renewAt = session.createdAt + (session.validTill - session.createdAt) * sessionLimits.renewAtShare;
    return ofTheseKeys && now < renewAt ? session : null;
  }

  async #agree(partner: Partner, key: PinnedKey, connection: ClientConnection): Promise<StoredSession> {
    const { store, clock, log } = this.#options;
    const previous = await store.sessions.findContinuity(partner.uid, 'initiator', null, clock.now());
    if (!previous) return this.#attempt(partner, key, connection, 'bootstrap', null);
    try {
      return await this.#attempt(partner, key, connection, 'optimistic', previous);
    } catch (thrown) {
      const error = toAllianceError(thrown);
      if (!(error.remote && error.errorName === 'session_key_mismatch')) throw error;
      // Whoever can forge this answer can make us fall back, and that costs continuity; so it is rare and it is logged.
      const allowed = await store.leases.acquire(
        `fallback:${partner.uid}`,
        newRequestId(),
        sessionLimits.fallbackEveryMs,
      );
      if (!allowed)
        throw new AllianceError('session_key_mismatch', {
          details: 'A fallback was tried less than a minute ago.',
          retryAfterMs: sessionLimits.fallbackEveryMs,
        });
      log.warn({ partner: partner.cloudId }, 'The partner does not know our last session; falling back.');
      return this.#attempt(partner, key, connection, 'fallback', null);
    }
  }

  async #attempt(
    partner: Partner,
    key: PinnedKey,
    connection: ClientConnection,
    attempt: Attempt,
    previous: Continuity | null,
  ): Promise<StoredSession> {
    const { store, view, clock, telemetry, log } = this.#options;
    try {
      const request = await startSession({
        identity: view.identityFor(partner),
        partner: { cloudId: partner.cloudId, key },
        attempt,
        ...(previous && { previous: { sid: Buffer.from(previous.sid, 'base64url'), continuity: previous.key } }),
        now: clock.now(),
      });
      const answer = await connection.call('getSession', fromTicket(request.ticket), {
        timeoutMs: clientLimits.handshakeTimeoutMs,
      });
      const agreed = await request.finish(toTicket(answer), clock.now());
      const session = toStored(agreed, partner, 'initiator');
      await store.sessions.insert(session, { attempt });
      if (await store.partners.retireOldKey(partner.uid, key.fingerprint)) {
        log.info({ partner: partner.cloudId }, 'The partner uses its new key; the old one is retired.');
        await view.refresh();
      }
      telemetry.handshake('out', attempt);
      log.info({ partner: partner.cloudId, attempt, validTill: new Date(session.validTill) }, 'Session agreed.');
      return session;
    } catch (thrown) {
      const { errorName: outcome, remote } = toAllianceError(thrown);
      telemetry.handshake('out', outcome);
      // A partner that cannot be reached has refused nothing; one that answers falsely has not proved to be the partner.
      if (remote || outcome === 'ticket_refused')
        await store.audit.note(handshakeEntry('initiator', partner.cloudId, { outcome, attempt }));
      throw thrown;
    }
  }
}

export function toStored(agreed: AgreedSession, partner: Partner, direction: 'initiator' | 'responder'): StoredSession {
  const { sid, secret, continuity, ownFingerprint, partnerFingerprint, createdAt, validTill } = agreed;
  return {
    sid: sid.toString('base64url') as SessionId,
    partnerUid: partner.uid,
    direction,
    ownFingerprint,
    partnerFingerprint,
    secret,
    continuity,
    createdAt,
    validTill,
    confirmedAt: null,
    continuityTill: createdAt + sessionLimits.continuityMs,
  };
}
