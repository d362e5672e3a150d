/** What stands between the wire and the handlers, outermost first. The array at the end is the whole chain. */
import type { Interceptor, Next } from '../channel/interceptor.ts';
import { authorise } from '../channel/permissions.ts';
import { partnerConfig } from '../core/config.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import type { Partner } from '../model/partner.ts';
import { methodFacts } from '../wire/methods.ts';
import type { InboundCall, ServerContext } from './context.ts';

type ServerInterceptor = Interceptor<InboundCall>;

/** Counts and logs every call; what nobody foresaw is logged whole here and leaves as `internal`. */
const observe =
  (context: ServerContext): ServerInterceptor =>
  async (call, next) => {
    try {
      const value = await next(call);
      context.telemetry.call(call.method, 'in', 'ok', performance.now() - call.startedAt);
      return value;
    } catch (thrown) {
      throw failed(context, call, toAllianceError(thrown));
    }
  };

function failed({ telemetry, log }: ServerContext, call: InboundCall, error: AllianceError): AllianceError {
  const { method, startedAt, cloudId, requestId, peer } = call;
  telemetry.call(method, 'in', error.errorName, performance.now() - startedAt);
  const line = { method, partner: cloudId, requestId, remoteAddress: peer.remoteAddress, err: error };
  if (error.errorName === 'internal') log.error(line, 'A call failed for a reason of ours.');
  // No partner can mend that, and nobody else sees it.
  else if (error.errorName === 'keystone_refused') log.warn(line, 'A call failed.');
  else log.info(line, 'A call failed.');
  return error;
}

/** Plain calls: only the bootstrap ones, within the limits of strangers, and no new trust without a database. Calls over a channel: as the one table says. */
const admit =
  (context: ServerContext): ServerInterceptor =>
  (call, next) => {
    const { partner, method } = call;
    if (partner) authorise(method, 'in', partner, context.view.stateOf(partner));
    else if (!methodFacts(method).plain) throw new AllianceError('unauthenticated');
    else limitStrangers(context, call);
    if (context.view.lost && method !== 'ping') throw new AllianceError('overloaded', { details: 'No database.' });
    return next(call);
  };

function limitStrangers({ rates, config, clock, telemetry }: ServerContext, { method, peer }: InboundCall): void {
  const { unauthenticatedPerS, unauthenticatedBurst, pingsPerS } = config().limits;
  // A limit that is off costs a ping nothing, not even a look at the clock.
  const take = (kind: string, perS: number, burst: number): number =>
    perS === 0 ? 0 : rates.take(`${kind}:${peer.addressKey}`, { perS, burst }, clock.now());
  let retryAfterMs = take('stranger', unauthenticatedPerS, unauthenticatedBurst);
  if (retryAfterMs === 0 && method === 'ping' && !peer.loopback)
    retryAfterMs = take('ping', pingsPerS, Math.max(1, pingsPerS));
  if (retryAfterMs === 0) return;
  telemetry.refusal('rate');
  throw new AllianceError('rate_limited', { retryAfterMs });
}

/** Calls in flight and calls per second, by partner and over all its channels. */
const limitPartner = (context: ServerContext): ServerInterceptor => {
  const inFlight = new Map<Partner['uid'], number>();
  const limited = async (partner: Partner, call: InboundCall, next: Next<InboundCall>): Promise<unknown> => {
    const limits = partnerConfig(context.config(), partner.cloudId);
    const rate = { perS: limits.callsPerS, burst: limits.callsBurst };
    const retryAfterMs = context.rates.take(`calls:${partner.uid}`, rate, context.clock.now());
    if (retryAfterMs > 0) throw refused(context, 'rate_limited', retryAfterMs);
    const running = inFlight.get(partner.uid) ?? 0;
    if (running >= limits.inFlight) throw refused(context, 'overloaded', 100);
    inFlight.set(partner.uid, running + 1);
    try {
      return await next(call);
    } finally {
      const left = (inFlight.get(partner.uid) ?? 1) - 1;
      if (left === 0) inFlight.delete(partner.uid);
      else inFlight.set(partner.uid, left);
    }
  };
  return (call, next) => (call.partner ? limited(call.partner, call, next) : next(call));
};

function refused({ telemetry }: ServerContext, name: 'rate_limited' | 'overloaded', retryAfterMs: number) {
  telemetry.refusal(name === 'rate_limited' ? 'rate' : 'in_flight');
  return new AllianceError(name, { retryAfterMs });
}

export const interceptorsFor = (context: ServerContext): readonly ServerInterceptor[] => [
  observe(context),
  admit(context),
  limitPartner(context),
];
