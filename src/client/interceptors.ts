/** What the client does around each call: count it, write down what failed, and see whether it may be made at all. */
import type { Call, Interceptor } from '../channel/interceptor.ts';
import { authorise } from '../channel/permissions.ts';
import { toAllianceError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Partner } from '../model/partner.ts';
import type { OutboundCall } from './pool.ts';

/** Calls leave only where the one table allows them, so that a refusal costs no round trip. */
export function admitCalls(stateOf: (partner: Partner) => string): Interceptor<OutboundCall> {
  return async (call, next) => {
    authorise(call.method, 'out', call.partner, stateOf(call.partner));
    return next(call);
  };
}

export function observeCalls<C extends Call>(telemetry: Telemetry, log: Logger): Interceptor<C> {
  return async (call, next) => {
    const { method, cloudId, requestId, startedAt } = call;
    try {
      const value = await next(call);
      telemetry.call(method, 'out', 'ok', performance.now() - startedAt);
      return value;
    } catch (thrown) {
      const error = toAllianceError(thrown);
      telemetry.call(method, 'out', error.errorName, performance.now() - startedAt);
      log.info({ partner: cloudId, method, requestId, err: error }, 'A call to a partner failed.');
      throw error;
    }
  };
}
