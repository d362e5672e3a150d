/** What stands around a call, on either side: one type for client and server. */
import type { MethodName } from '../wire/methods.ts';

/** A call on its way. `C` is what the side knows of it besides. */
export interface Call {
  readonly direction: 'in' | 'out';
  readonly method: MethodName;
  readonly argument: unknown;
  /** cloud_id of the partner; undefined for peers that are not authenticated. */
  readonly cloudId: string | undefined;
  /** Under which both logs and the peer's exception name the call. */
  readonly requestId: string;
  /** performance.now() at its start. */
  readonly startedAt: number;
}

/** What waits for nothing may be there at once: the promises of a ping would cost as much as reading and checking it. */
export type Eventually<T> = T | Promise<T>;

export type Next<C extends Call = Call> = (call: C) => Eventually<unknown>;
export type Interceptor<C extends Call = Call> = (call: C, next: Next<C>) => Eventually<unknown>;

/** One function of all interceptors, the first one outermost, around `last`. */
export function chain<C extends Call>(interceptors: readonly Interceptor<C>[], last: Next<C>): Next<C> {
  return interceptors.reduceRight<Next<C>>((next, interceptor) => (call) => interceptor(call, next), last);
}
