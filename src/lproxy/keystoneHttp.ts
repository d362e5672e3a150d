/** HTTP to one Keystone: kept-alive connections, bounds on time and size, retries. Knows statuses, not bodies. */
import { setTimeout as sleep } from 'node:timers/promises';
import { buildConnector, Pool } from 'undici';
import { AllianceError } from '../core/errors.ts';
import { type keystoneLimits, revocationLimits } from '../core/limits.ts';

type Widened<T> = { readonly [K in keyof T]: T[K] extends number ? number : T[K] };
export type KeystoneLimits = Widened<typeof keystoneLimits>;

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Beneath `/v3`, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether a second attempt does no harm. */
  readonly repeatable: boolean;
  /** For lists without pages: the answer may be as large as `revocationLimits.listBytes`. */
  readonly large?: true;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  header(name: string): string | undefined;
}

export interface KeystoneHttp {
  /**
   * Answers below 500, whatever they mean. Connection errors and 503 are tried again where the request is repeatable.
   * @throws AllianceError keystone_unreachable | overloaded | keystone_malformed
   */
  send(request: HttpRequest): Promise<HttpAnswer>;
  /** What it means that nothing came in time: a Keystone that is connected is busy, and anybody could keep it so. */
  late(details: string): AllianceError;
  close(): Promise<void>;
}

/**
 * Whatever a facade of a broker answers carries this header, and so does what it sends to its Keystone. What is behind a facade may be
 * the word of another cloud, so a broker never takes one for its Keystone.
 */
export const facadeHeader = 'x-alliance-facade';

export const behindFacade = (): AllianceError =>
  new AllianceError('configuration', {
    field: 'keystone.auth_url',
    details: "keystone.auth_url leads to the facade of a broker; it must be this cloud's Keystone itself.",
  });

/** Where requests go: origin, and path up to and including `/v3`. `authUrl` may end with `/v3` or not. */
export function parseAuthUrl(authUrl: string): { readonly origin: string; readonly base: string } {
  const refuse = (details: string): never => {
    throw new AllianceError('configuration', { field: 'keystone.auth_url', details: `keystone.auth_url ${details}` });
  };
  const url = URL.canParse(authUrl) ? new URL(authUrl) : refuse('is no URL.');
  if (!/^https?:$/.test(url.protocol)) return refuse('must begin with http:// or https://.');
  if (url.username || url.password || url.search || url.hash)
    return refuse('must not hold credentials, a query or a fragment.');
  const path = url.pathname.replace(/\/+$/, '');
  if (path.endsWith('/v2.0')) return refuse('names Identity v2.0; this needs v3.');
  return { origin: url.origin, base: path.endsWith('/v3') ? path : `${path}/v3` };
}

/** Errors of undici and the system that say that no connection came about or that it broke. */
export const brokenConnection: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
]);

const unreadable =
  /^(UND_ERR_RES_EXCEEDED_MAX_SIZE|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH_MISMATCH|HPE_.*)$/;

export function codeOf(thrown: unknown): string {
  const { code, name } = (thrown ?? {}) as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : String(name);
}

/** It was connected, and then said too little for too long. */
const lateAnswer = /^UND_ERR_(HEADERS|BODY)_TIMEOUT$/;

/** Statuses of who is there and has too much to do, or says when it will have less: its own, or those of a proxy that waited for it. */
const isBusy = (status: number, retryAfterMs: number | undefined): boolean =>
  status === 429 || status === 504 || (status === 503 && retryAfterMs !== undefined);

const busy = (details: string, retryAfterMs?: number): AllianceError =>
  new AllianceError('overloaded', { details, ...(retryAfterMs !== undefined && { retryAfterMs }) });

function toTypedError(thrown: unknown): AllianceError {
  if (thrown instanceof AllianceError) return thrown;
  const code = codeOf(thrown);
  if (lateAnswer.test(code)) return busy(`Keystone did not answer in time (${code}).`);
  if (unreadable.test(code))
    return new AllianceError('keystone_malformed', { details: `The answer cannot be read (${code}).`, cause: thrown });
  return new AllianceError('keystone_unreachable', { details: `(${code})`, cause: thrown });
}

/** Seconds or a date (RFC 9110, section 10.2.3), as milliseconds from now. */
export function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

export function createKeystoneHttp(options: {
  readonly authUrl: string;
  /** Authorities to trust instead of the system's, PEM. */
  readonly cacert?: string;
  readonly limits: KeystoneLimits;
}): KeystoneHttp {
  const { limits } = options;
  const { origin, base } = parseAuthUrl(options.authUrl);
  const connector = buildConnector({
    timeout: limits.connectTimeoutMs,
    ...(options.cacert !== undefined && { ca: options.cacert }),
  });
  let connections = 0;
  /** As undici would, and counts those that are there. */
  const connect: typeof connector = (target, callback) =>
    connector(target, (...[error, socket]) => {
      if (error) return callback(error, null);
      connections += 1;
      socket.once('close', () => {
        connections -= 1;
      });
      callback(null, socket);
    });
  const late = (details: string): AllianceError =>
    connections > 0 ? busy(details) : new AllianceError('keystone_unreachable', { details });
  const common = {
    pipelining: 1,
    connect,
    headersTimeout: limits.requestTimeoutMs,
    bodyTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
  };
  // One more than the queue admits: the broker's own login runs beside it.
  const pool = new Pool(origin, { ...common, connections: limits.concurrency + 1, maxResponseSize: limits.bodyBytes });
  const largePool = new Pool(origin, { ...common, connections: 1, maxResponseSize: revocationLimits.listBytes });

  async function once(request: HttpRequest): Promise<HttpAnswer> {
    const answer = await (request.large ? largePool : pool).request({
      method: request.method,
      path: base + request.path,
      headers: {
        accept: 'application/json',
        'user-agent': 'alliance',
        ...(request.body !== undefined && { 'content-type': 'application/json' }),
        ...request.headers,
      },
      body: request.body ?? null,
      signal: request.signal,
    });
    const text = await answer.body.text();
    if (answer.headers[facadeHeader] !== undefined) throw behindFacade();
    const header = (name: string) => {
      const value = answer.headers[name];
      return Array.isArray(value) ? value[0] : value;
    };
    return { status: answer.statusCode, text, header };
  }

  /** The answer, or why there is none and after how long another attempt may follow (undefined: none may). */
  async function attempt(
    request: HttpRequest,
    number: number,
  ): Promise<HttpAnswer | { error: AllianceError; waitMs?: number }> {
    const backoffMs = limits.retryBackoffMs * 2 ** number * (0.5 + Math.random());
    let timedOut: AllianceError | undefined;
    // Before the connection ends by it.
    const onAbort = () => {
      timedOut = late(`No answer within ${limits.requestTimeoutMs} ms.`);
    };
    request.signal.addEventListener('abort', onAbort, { once: true });
    try {
      const answer = await once(request);
      if (answer.status < 500 && answer.status !== 429) return answer;
      const retryAfterMs = parseRetryAfter(answer.header('retry-after'));
      const details = `Keystone answered ${answer.status}.`;
      const error = isBusy(answer.status, retryAfterMs)
        ? busy(details, retryAfterMs)
        : new AllianceError('keystone_unreachable', { details, ...(retryAfterMs !== undefined && { retryAfterMs }) });
      const waitMs = retryAfterMs ?? backoffMs;
      return answer.status === 503 && waitMs <= limits.retryAfterMaxMs ? { error, waitMs } : { error };
    } catch (thrown) {
      const error = timedOut ?? (request.signal.aborted ? late('No time was left.') : toTypedError(thrown));
      return brokenConnection.has(codeOf(thrown)) ? { error, waitMs: backoffMs } : { error };
    } finally {
      request.signal.removeEventListener('abort', onAbort);
    }
  }

  return {
    async send(request) {
      for (let number = 0; ; number += 1) {
        const result = await attempt(request, number);
        if (!('error' in result)) return result;
        if (result.waitMs === undefined || !request.repeatable || number >= limits.retries) throw result.error;
        await sleep(result.waitMs, undefined, { signal: request.signal }).catch(() => {
          throw result.error;
        });
      }
    },
    late,
    async close() {
      await Promise.all([pool.destroy(), largePool.destroy()]);
    },
  };
}
