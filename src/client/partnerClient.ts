/**
 * The one live way to a partner: a channel, more of them under load, the next endpoint when one fails, a breaker when all do.
 */
import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
  type IRetryContext,
  retry,
} from 'cockatiel';
import type { PinnedKey } from '../channel/handshake.ts';
import { parseEndpoint } from '../core/endpoint.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { clientLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import type { Partner } from '../model/partner.ts';
import { type Contract, type MethodName, methodFacts } from '../wire/methods.ts';
import { PingRequest } from '../wire/types.ts';
import { attachChannel, type Channel, isDue } from './channel.ts';
import { type CallOptions, ClientConnection } from './connection.ts';
import { type DialOptions, dial } from './dial.ts';
import type { DialPolicy } from './dialPolicy.ts';
import { SessionSource, type SessionSourceOptions } from './session.ts';

export interface PartnerClientOptions extends SessionSourceOptions {
  readonly policy: DialPolicy;
  /** The partner as it is now; throws when it may not be called. */
  readonly partner: () => Partner;
}

/** Failures of the way to the partner, as opposed to its answers. */
const transportFailures = new Set([
  'unreachable',
  'connection_lost',
  'deadline_exceeded',
  'pin_mismatch',
  'wire_malformed',
]);

const isTransportFailure = (error: unknown): boolean =>
  error instanceof AllianceError && !error.remote && transportFailures.has(error.errorName);

/** A failure before the call was sent, so that sending it again cannot do it twice. */
class NotSent extends Error {
  readonly error: AllianceError;
  constructor(error: AllianceError) {
    super(error.message);
    this.error = error;
  }
}

const retriesPerCall = 2;
const touchEveryMs = 10_000;

export class PartnerClient {
  readonly #options: PartnerClientOptions;
  readonly #sessions: SessionSource;
  readonly #breaker: CircuitBreakerPolicy;
  #channels: Channel[] = [];
  #opening: Promise<Channel> | undefined;
  /** Ends the openings that `close` finds under way. */
  readonly #ends = new Set<AbortController>();
  /** Where the last channel succeeded; tried first. */
  #lastGood: string | undefined;
  #touchedAt = 0;
  #closed = false;

  constructor(options: PartnerClientOptions) {
    this.#options = options;
    this.#sessions = new SessionSource(options);
    this.#breaker = circuitBreaker(handleWhen(isTransportFailure), {
      halfOpenAfter: clientLimits.breakerOpenMs,
      breaker: new ConsecutiveBreaker(clientLimits.breakerFailures),
    });
  }

  get channels(): readonly Channel[] {
    return this.#channels;
  }

  async call<M extends MethodName>(
    method: M,
    argument: Contract[M]['args'],
    options: CallOptions = {},
  ): Promise<Contract[M]['result']> {
    const deadline = performance.now() + (options.timeoutMs ?? clientLimits.callTimeoutMs);
    const { idempotent } = methodFacts(method);
    const once = async (): Promise<Contract[M]['result']> => {
      const channel = this.#idle() ?? (await before(deadline, method, this.#acquire()));
      return channel.connection.call(method, argument, { timeoutMs: deadline - performance.now() });
    };
    // The way is there nearly always: the policy objects are for when it is not.
    try {
      return await once();
    } catch (first) {
      const again = (error: unknown): boolean =>
        performance.now() < deadline && (error instanceof NotSent || (idempotent && isTransportFailure(error)));
      if (!again(first)) throw unwrap(first);
      const policy = retry(handleWhen(again), {
        maxAttempts: retriesPerCall - 1,
        backoff: new ExponentialBackoff<IRetryContext>({
          initialDelay: clientLimits.backoffInitialMs,
          maxDelay: clientLimits.backoffMaxMs,
        }),
      });
      return await policy.execute(once).catch((error: unknown) => {
        throw unwrap(error);
      });
    }
  }

  /** Opens a channel if there is none; with `renew`, on a new session. */
  async open(renew = false): Promise<Channel> {
    if (!renew) return this.#idle() ?? this.#acquire().catch((error: unknown) => Promise.reject(unwrap(error)));
    const channel = await this.#openOne(true);
    for (const other of this.#channels) if (other !== channel) this.#retire(other);
    return channel;
  }

  /** Closes what may not go on and renews what is due; called at every look at the trust epoch. */
  maintain(lost: boolean): void {
    let allowed = !lost;
    let pins: PinnedKey[] = [];
    try {
      pins = this.#options.view.pinsOf(this.#options.partner());
    } catch {
      allowed = false;
    }
    const now = this.#options.clock.now();
    for (const channel of [...this.#channels]) {
      const pinned = pins.some((pin) => equalBytes(pin.fingerprint, channel.session.partnerFingerprint));
      if (!allowed || !pinned || now >= channel.endsAt) channel.connection.close();
      else if (!channel.retiring && isDue(channel, now)) this.#succeed(channel);
    }
  }

  /** Closes channels of sessions that are no longer in the database. */
  dropSessions(gone: (sid: string) => boolean): void {
    for (const channel of [...this.#channels]) if (gone(channel.session.sid)) channel.connection.close();
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end.abort();
    for (const channel of [...this.#channels]) channel.connection.close();
  }

  /** The least busy channel that takes calls; starts another one when all are busy. */
  #idle(): Channel | undefined {
    let best: Channel | undefined;
    let usable = 0;
    for (const channel of this.#channels) {
      if (channel.retiring || channel.connection.closed) continue;
      usable++;
      if (!best || channel.connection.inFlight < best.connection.inFlight) best = channel;
    }
    const busy = best !== undefined && best.connection.inFlight >= clientLimits.inFlightBeforeGrowth;
    if (busy && usable < clientLimits.channelsPerPartner && !this.#opening) this.#acquire().catch(() => undefined);
    return best;
  }

  /** One opening at a time, however many calls wait for it. */
  async #acquire(): Promise<Channel> {
    this.#opening ??= this.#breaker
      .execute(() => this.#openOne(false))
      .finally(() => {
        this.#opening = undefined;
      });
    try {
      return await this.#opening;
    } catch (thrown) {
      if (thrown instanceof BrokenCircuitError)
        throw new AllianceError('circuit_open', { retryAfterMs: clientLimits.breakerOpenMs });
      const error = toAllianceError(thrown);
      throw isTransportFailure(error) ? new NotSent(error) : error;
    }
  }

  /** Tries the partner's endpoints in order, the last good one first. The last failure counts. */
  async #openOne(renew: boolean): Promise<Channel> {
    const { partner: current, store, clock, log } = this.#options;
    const partner = current();
    const endpoints = [...partner.endpoints].sort(
      (a, b) => Number(b === this.#lastGood) - Number(a === this.#lastGood),
    );
    let failure = new AllianceError('unreachable', { details: `${partner.cloudId} has no endpoints.` });
    for (const endpoint of endpoints) {
      if (this.#closed) break;
      if (partner.binding === 'exporter' && !endpoint.startsWith('tls:')) continue;
      const end = new AbortController();
      this.#ends.add(end);
      try {
        const channel = await this.#openAt(partner, endpoint, renew, end.signal);
        this.#lastGood = endpoint;
        return channel;
      } catch (thrown) {
        if (this.#closed) break;
        failure = toAllianceError(thrown);
        log.warn({ partner: partner.cloudId, endpoint, err: failure }, 'No channel over this endpoint.');
      } finally {
        this.#ends.delete(end);
      }
    }
    // What our own end did to the opening says nothing of the partner.
    if (this.#closed) throw new AllianceError('shutting_down');
    const { code, errorName, message } = failure;
    await store.partners.recordError(partner.uid, { at: clock.now(), code, name: errorName, message });
    throw failure;
  }

  async #openAt(partner: Partner, endpointText: string, renew: boolean, signal: AbortSignal) {
    const { policy, view, clock, store, telemetry } = this.#options;
    const endpoint = parseEndpoint(endpointText);
    // A key announced by a rotation comes first as soon as it may be used.
    const pins = view.pinsOf(partner).reverse();
    const [preferred] = pins;
    if (!preferred) throw new AllianceError('pin_mismatch', { details: `${partner.cloudId} has no valid key.` });
    const how = { endpoint, policy, pins: pins.map((pin) => pin.fingerprint), signal };
    const dialled = await dial(how);
    let connection = new ClientConnection(dialled);
    try {
      const { fingerprint } = dialled;
      const key = pins.find((pin) => fingerprint && equalBytes(pin.fingerprint, fingerprint)) ?? preferred;
      const identity = view.identityFor(partner);
      let session = await this.#sessions.obtain(partner, key, connection, renew);
      let channel: Channel;
      try {
        channel = await attachChannel({ connection, session, partner, identity, clock });
      } catch (thrown) {
        const error = toAllianceError(thrown);
        if (!(error.remote && error.errorName === 'session_invalid')) throw error;
        // The partner no longer holds the session. What we store of it is of no use; the continuity key may still be.
        session = await this.#replace(partner, key, how);
        connection = new ClientConnection(await dial(how));
        channel = await attachChannel({ connection, session, partner, identity, clock });
      }
      // Closed meanwhile: nobody would ever close this channel again.
      if (this.#closed) throw new AllianceError('shutting_down');
      this.#channels.push(channel);
      telemetry.channels('out', 1);
      channel.connection.onClose(() => {
        telemetry.channels('out', -1);
        this.#channels = this.#channels.filter((other) => other !== channel);
      });
      // The responder closes a channel whose first sealed frame does not come soon, and its owner may have no call to make yet.
      const hello = new PingRequest({ cloud_id: identity.cloudId, request_data: '' });
      channel.connection.call('ping', hello).catch(() => undefined);
      await store.sessions.confirm(session.sid, clock.now(), 'initiator');
      await this.#touch(partner);
      return channel;
    } catch (thrown) {
      connection.close();
      throw thrown;
    }
  }

  /** A new session, agreed over a connection of its own, because the one before has ended with the refusal. */
  async #replace(partner: Partner, key: PinnedKey, how: DialOptions) {
    const connection = new ClientConnection(await dial(how));
    try {
      return await this.#sessions.obtain(partner, key, connection, true);
    } finally {
      connection.close();
    }
  }

  async #touch(partner: Partner): Promise<void> {
    const now = this.#options.clock.now();
    if (now - this.#touchedAt < touchEveryMs) return;
    this.#touchedAt = now;
    await this.#options.store.partners.touch(partner.uid, now);
  }

  /** Opens the successor on a new connection; calls in flight end where they are. */
  #succeed(channel: Channel): void {
    if (this.#opening) return;
    this.#acquire().then(
      (successor) => {
        if (successor !== channel) this.#retire(channel);
      },
      () => undefined,
    );
  }

  #retire(channel: Channel): void {
    channel.retiring = true;
    channel.connection.closeWhenIdle();
  }
}

/** The opening goes on for others when this call has no time left. */
async function before<T>(deadline: number, method: MethodName, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const expire = () => reject(new AllianceError('deadline_exceeded', { details: `${method}: no channel in time.` }));
    timer = setTimeout(expire, Math.max(0, deadline - performance.now()));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const unwrap = (error: unknown): unknown => (error instanceof NotSent ? error.error : error);
