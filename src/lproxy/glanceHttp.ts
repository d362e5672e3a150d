/** HTTP to one Glance: kept-alive connections, the token of the moment, bounds on silence, retries. Knows statuses, not bodies. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';
import { AllianceError } from '../core/errors.ts';
import { glanceLimits } from '../core/limits.ts';
import { connectionError, isBusy, oversized, statusError } from './glanceErrors.ts';
import { brokenConnection, codeOf, parseRetryAfter } from './keystoneHttp.ts';
import { Seats } from './seats.ts';

type Widened<T> = { readonly [K in keyof T]: T[K] extends number ? number : T[K] };
export type GlanceLimits = Widened<typeof glanceLimits>;

/** Where requests get their token from; each asks anew, so that one that was renewed meanwhile is used. */
export interface TokenSource {
  token(): Promise<string>;
  /** One other than `stale`, which was answered with 401. */
  replace(stale: string): Promise<string>;
}

export interface GlanceRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Beneath `/v2`, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is given as an iterable is sent once only. */
  readonly body?: string | AsyncIterable<Buffer>;
  /** Whether a second attempt does no harm. */
  readonly repeatable: boolean;
  /** Silence until the answer begins; `requestTimeoutMs` unless it says otherwise. */
  readonly answerTimeoutMs?: number;
  /** Whether it carries an image's bytes, one way or the other: so it may last, and must keep nothing else waiting. */
  readonly carriesContent?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface GlanceAnswer {
  readonly status: number;
  readonly text: string;
}

export interface GlanceHttp {
  readonly label: string;
  readonly limits: GlanceLimits;
  /**
   * Answers below 500, whatever they mean, but for 401 and 429. Connection errors, 429 and 503 are tried again where the request is repeatable.
   * @param mostBytes of the body
   * @throws AllianceError glance_unreachable | glance_refused | glance_malformed
   */
  send(request: GlanceRequest, mostBytes?: number): Promise<GlanceAnswer>;
  /** The same, with the body still to come: to be read or destroyed. */
  open(request: GlanceRequest): Promise<Dispatcher.ResponseData>;
  close(): Promise<void>;
}

/** Where requests go: origin, and path up to and including `/v2`. The endpoint may end with `/v2` or not. */
function parseEndpoint(endpoint: string): { readonly origin: string; readonly base: string } {
  const refuse = (details: string): never => {
    throw new AllianceError('configuration', { details: `The image endpoint "${endpoint.slice(0, 200)}" ${details}` });
  };
  const url = URL.canParse(endpoint) ? new URL(endpoint) : refuse('is no URL.');
  if (!/^https?:$/.test(url.protocol)) return refuse('must begin with http:// or https://.');
  if (url.username || url.password || url.search || url.hash) return refuse('must be a plain URL.');
  const path = url.pathname.replace(/\/+$/, '');
  return { origin: url.origin, base: path.endsWith('/v2') ? path : `${path}/v2` };
}

/** The body as text. What is too large ends the connection. */
export async function textOf(label: string, body: Dispatcher.ResponseData['body'], mostBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > mostBytes) throw oversized(label, mostBytes);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

export function createGlanceHttp(options: {
  readonly endpoint: string;
  readonly label: string;
  readonly tokens: TokenSource;
  /** Authorities to trust instead of the system's, PEM. */
  readonly cacert?: string | undefined;
  readonly limits: GlanceLimits;
}): GlanceHttp {
  const { label, tokens, cacert, limits } = options;
  const { origin, base } = parseEndpoint(options.endpoint);
  const connect = (connections: number) => ({
    seats: new Seats({
      most: connections,
      waitMs: limits.connectionWaitMs,
      late: () => new AllianceError('glance_unreachable', { details: `${label}: all connections are in use.` }),
    }),
    pool: new Pool(origin, {
      connections,
      pipelining: 1,
      connect: { timeout: limits.connectTimeoutMs, ...(cacert !== undefined && { ca: cacert }) },
      bodyTimeout: limits.idleTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs,
    }),
  });
  const short = connect(limits.connections);
  const lasting = connect(limits.contentConnections);

  /** The pool would let a request wait for as long as others last. */
  async function dispatch(request: GlanceRequest, token: string): Promise<Dispatcher.ResponseData> {
    const { seats, pool } = request.carriesContent ? lasting : short;
    const leave = await seats.take(request.signal);
    try {
      const answer = await ask(pool, request, token);
      answer.body.once('close', leave);
      return answer;
    } catch (thrown) {
      leave();
      throw thrown;
    }
  }

  async function ask(pool: Pool, request: GlanceRequest, token: string): Promise<Dispatcher.ResponseData> {
    const answer = await pool.request({
      method: request.method,
      path: base + request.path,
      headers: { accept: 'application/json', 'user-agent': 'alliance', 'x-auth-token': token, ...request.headers },
      body: (request.body as string | undefined) ?? null,
      // An upload may be refused before it was read, and what follows on that connection would wait for ever.
      reset: request.method === 'PUT',
      headersTimeout: request.answerTimeoutMs ?? limits.requestTimeoutMs,
      signal: request.signal ?? null,
    });
    // Whoever reads the body hears of its errors; where nobody does (yet), they must not end the process.
    answer.body.on('error', () => undefined);
    return answer;
  }

  /** With a token that Glance takes, if there is one. */
  async function authorised(request: GlanceRequest): Promise<Dispatcher.ResponseData> {
    const token = await tokens.token();
    const answer = await dispatch(request, token);
    if (answer.statusCode !== 401) return answer;
    await answer.body.dump();
    const renewed = await tokens.replace(token);
    // What was a stream has been used up.
    if (typeof request.body === 'object')
      throw new AllianceError('glance_unreachable', { details: `${label}: the token ended as an upload began.` });
    const second = await dispatch(request, renewed);
    if (second.statusCode === 401)
      throw statusError(label, 401, await textOf(label, second.body, glanceLimits.bodyBytes));
    return second;
  }

  /** The answer, or why there is none and after how long another attempt may follow (undefined: none may). */
  async function attempt(
    request: GlanceRequest,
    number: number,
  ): Promise<Dispatcher.ResponseData | { error: unknown; waitMs?: number }> {
    const backoffMs = limits.retryBackoffMs * 2 ** number * (0.5 + Math.random());
    try {
      const answer = await authorised(request);
      const { statusCode: status } = answer;
      if (!isBusy(status)) return answer;
      const header = answer.headers['retry-after'];
      const retryAfterMs = parseRetryAfter(Array.isArray(header) ? header[0] : header);
      const text = await textOf(label, answer.body, limits.bodyBytes);
      const error = statusError(label, status, text, undefined, retryAfterMs);
      const waitMs = retryAfterMs ?? backoffMs;
      const comesBack = status === 503 || status === 429;
      return comesBack && waitMs <= limits.retryAfterMaxMs ? { error, waitMs } : { error };
    } catch (error) {
      return brokenConnection.has(codeOf(error)) ? { error, waitMs: backoffMs } : { error };
    }
  }

  async function open(request: GlanceRequest): Promise<Dispatcher.ResponseData> {
    for (let number = 0; ; number += 1) {
      request.signal?.throwIfAborted();
      const result = await attempt(request, number);
      if (!('error' in result)) return result;
      request.signal?.throwIfAborted();
      if (result.waitMs === undefined || !request.repeatable || number >= limits.retries)
        throw connectionError(label, result.error);
      await sleep(result.waitMs, undefined, request.signal ? { signal: request.signal } : {});
    }
  }

  return {
    label,
    limits,
    open,
    async send(request, mostBytes = limits.bodyBytes) {
      const answer = await open(request);
      try {
        return { status: answer.statusCode, text: await textOf(label, answer.body, mostBytes) };
      } catch (thrown) {
        request.signal?.throwIfAborted();
        throw connectionError(label, thrown);
      }
    },
    close: async () => {
      await Promise.all([short, lasting].map(({ pool }) => pool.destroy()));
    },
  };
}
