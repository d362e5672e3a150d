/** What stands between the wire and the handlers, outermost first. The array at the end is the whole chain. */
import type { Interceptor } from '../channel/interceptor.ts';
import { authorise } from '../channel/permissions.ts';
import { partnerConfig } from '../core/config.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Partner } from '../model/partner.ts';
import { methodFacts } from '../wire/methods.ts';
import type { InboundCall, Peer, ServerContext } from './context.ts';

type ServerInterceptor = Interceptor<InboundCall>;

/** Counts and logs every call; what nobody foresaw is logged whole here and leaves as `internal`. */
const observe = (context: ServerContext): ServerInterceptor => {
  const done = (call: InboundCall, value: unknown): unknown => {
    context.telemetry.call(call.method, 'in', 'ok', performance.now() - call.startedAt);
    return value;
  };
  const awaited = async (call: InboundCall, value: Promise<unknown>): Promise<unknown> => {
    try {
      return done(call, await value);
    } catch (thrown) {
      throw failed(context, call, toAllianceError(thrown));
    }
  };
  return (call, next) => {
    let value: unknown;
    try {
      value = next(call);
    } catch (thrown) {
      throw failed(context, call, toAllianceError(thrown));
    }
    return value instanceof Promise ? awaited(call, value) : done(call, value);
  };
};

function failed(context: ServerContext, call: InboundCall, error: AllianceError): AllianceError {
  const { telemetry, log } = context;
  const { method, startedAt, cloudId, requestId, peer } = call;
  telemetry.call(method, 'in', error.errorName, performance.now() - startedAt);
  if (error.errorName === 'rate_limited' || error.errorName === 'overloaded') {
    noteRefusal(context, { peer, cloudId, error }, 'Calls are refused, because there are too many.');
    return error;
  }
  const line = { method, partner: cloudId, requestId, remoteAddress: peer.remoteAddress, err: error };
  if (error.errorName === 'internal') log.error(line, 'A call failed for a reason of ours.');
  // No partner can mend that, and nobody else sees it.
  else if (error.errorName === 'keystone_refused') log.warn(line, 'A call failed.');
  else log.info(line, 'A call failed.');
  return error;
}

/** A line for the first refusal of an address or partner, and one a minute for those that follow: whoever is refused may come back at once. */
export function noteRefusal(
  { refusals, log }: ServerContext,
  { peer, cloudId, error }: { peer: Peer; cloudId: string | undefined; error: AllianceError },
  message: string,
): void {
  const count = refusals.note(`${error.errorName} ${cloudId ?? peer.addressKey}`, performance.now());
  if (count > 0) log.info({ partner: cloudId, remoteAddress: peer.remoteAddress, count, err: error }, message);
}

/** Plain calls: only the bootstrap ones, within the limits of strangers, and no new trust without a database. Calls over a channel: as the one table says. */
const admit =
  (context: ServerContext): ServerInterceptor =>
  (call, next) => {
    const { partner, method } = call;
    const { plain } = methodFacts(method);
    if (partner) {
      if (plain && method !== 'ping')
        throw new AllianceError('bad_request', { details: `${method} does not travel over a channel.` });
      authorise(method, 'in', partner, context.view.stateOf(partner));
    } else if (!plain) throw new AllianceError('unauthenticated');
    else limitStrangers(context, call);
    if (method !== 'ping' && context.view.lost) throw new AllianceError('overloaded', { details: 'No database.' });
    return next(call);
  };

function limitStrangers(context: ServerContext, { method, peer }: InboundCall): void {
  const { unauthenticatedPerS, unauthenticatedBurst, pingsPerS } = context.config().limits;
  const retryAfterMs =
    takeStranger(context, `stranger:${peer.addressKey}`, unauthenticatedPerS, unauthenticatedBurst) ||
    (method === 'ping' && !peer.loopback
      ? takeStranger(context, `ping:${peer.addressKey}`, pingsPerS, Math.max(1, pingsPerS))
      : 0);
  if (retryAfterMs > 0) throw refused(context.telemetry, peer, 'rate_limited', retryAfterMs);
}

/** A limit that is off costs a ping nothing, not even a look at the clock. */
const takeStranger = ({ rates, clock }: ServerContext, key: string, perS: number, burst: number): number =>
  perS === 0 ? 0 : rates.addresses.take(key, { perS, burst }, clock.now());

/** A method that nobody knows costs its partner as much as one that it may not call; returns how long to hold off. */
export function chargeUnknown({ rates, config, clock }: ServerContext, { uid, cloudId }: Partner): number {
  const { callsPerS, callsBurst } = partnerConfig(config(), cloudId);
  return rates.partners.charge(`calls:${uid}`, { perS: callsPerS, burst: callsBurst }, clock.now(), 1);
}

/** Calls in flight and calls per second, by partner and over all its channels. */
const limitPartner = (context: ServerContext): ServerInterceptor => {
  const inFlight = new Map<Partner['uid'], number>();
  const awaited = async (uid: Partner['uid'], value: Promise<unknown>): Promise<unknown> => {
    inFlight.set(uid, (inFlight.get(uid) ?? 0) + 1);
    try {
      return await value;
    } finally {
      const left = (inFlight.get(uid) ?? 1) - 1;
      if (left === 0) inFlight.delete(uid);
      else inFlight.set(uid, left);
    }
  };
  return (call, next) => {
    const { partner, peer } = call;
    if (!partner) return next(call);
    const limits = partnerConfig(context.config(), partner.cloudId);
    const rate = { perS: limits.callsPerS, burst: limits.callsBurst };
    const retryAfterMs = context.rates.partners.take(`calls:${partner.uid}`, rate, context.clock.now());
    if (retryAfterMs > 0) throw refused(context.telemetry, peer, 'rate_limited', retryAfterMs);
    if ((inFlight.get(partner.uid) ?? 0) >= limits.inFlight) throw refused(context.telemetry, peer, 'overloaded', 100);
    // What is answered at once was never in flight.
    const value = next(call);
    return value instanceof Promise ? awaited(partner.uid, value) : value;
  };
};

function refused(telemetry: Telemetry, peer: Peer, name: 'rate_limited' | 'overloaded', retryAfterMs: number) {
  peer.holdOff(retryAfterMs);
  telemetry.refusal(name === 'rate_limited' ? 'rate' : 'in_flight');
  return new AllianceError(name, { retryAfterMs });
}

export const interceptorsFor = (context: ServerContext): readonly ServerInterceptor[] => [
  observe(context),
  // First, so that a call which the partner may not make costs it as much as one that it may.
  limitPartner(context),
  admit(context),
];
