/** What the client does around each call: count it, and write down what failed. */
import type { Call, Interceptor } from '../channel/interceptor.ts';
import { toAllianceError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';

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
