/** Requests that are handed on to this cloud's Keystone as they came: to one fixed origin, over a few connections of their own. */
import type { Readable } from 'node:stream';
import { Pool } from 'undici';
import { AllianceError } from '../core/errors.ts';
import { facadeLimits, keystoneLimits } from '../core/limits.ts';
import { behindFacade, brokenConnection, codeOf, facadeHeader, parseAuthUrl } from './keystoneHttp.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** From the root of the Identity API: `/v3/users?name=ann`. What `auth_url` has before `/v3` is put in front. */
  readonly path: string;
  /** Names and values by turns. */
  readonly headers: readonly string[];
  /** What is read while it comes in holds its connection for that long. */
  readonly body?: Buffer | Readable | null;
  readonly signal: AbortSignal;
}

export interface UpstreamAnswer {
  readonly status: number;
  /** Names and values by turns, as they came. */
  readonly headers: readonly string[];
  /** To be read or destroyed. */
  readonly body: Readable;
}

export interface Upstream {
  /**
   * Any answer, whatever its status. A request without a body that only reads is sent once more when its connection broke.
   * @throws AllianceError keystone_unreachable | deadline_exceeded | keystone_malformed; configuration where a facade answers
   */
  send(request: UpstreamRequest): Promise<UpstreamAnswer>;
  close(): Promise<void>;
}

export interface UpstreamOptions {
  readonly authUrl: string;
  /** Authorities to trust instead of the system's, PEM. */
  readonly cacert?: string | undefined;
  /** Of this facade, so that a request that comes back to one is known. */
  readonly instance: string;
  readonly timeoutMs?: number;
  readonly connections?: number;
}

const timeouts = new Set([
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'TimeoutError',
]);

/** What undici or the system threw, in our form. */
export function upstreamError(thrown: unknown): AllianceError {
  if (thrown instanceof AllianceError) return thrown;
  const code = codeOf(thrown);
  const details = `Keystone, behind the facade (${code}).`;
  if (timeouts.has(code)) return new AllianceError('deadline_exceeded', { details, cause: thrown });
  const name = /^HPE_|^UND_ERR_(HEADERS_OVERFLOW|RES_)/.test(code) ? 'keystone_malformed' : 'keystone_unreachable';
  return new AllianceError(name, { details, cause: thrown });
}

const readsOnly = ({ method, body }: UpstreamRequest): boolean => !body && (method === 'GET' || method === 'HEAD');

export function createUpstream(options: UpstreamOptions): Upstream {
  const { cacert, instance } = options;
  const { timeoutMs = facadeLimits.upstreamTimeoutMs, connections = facadeLimits.upstreamConnections } = options;
  const { origin, base } = parseAuthUrl(options.authUrl);
  const prefix = base.slice(0, -'/v3'.length);
  const pool = new Pool(origin, {
    connections,
    pipelining: 1,
    connect: { timeout: keystoneLimits.connectTimeoutMs, ...(cacert !== undefined && { ca: cacert }) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: keystoneLimits.keepAliveMs,
  });

  async function once({ method, path, headers, body, signal }: UpstreamRequest): Promise<UpstreamAnswer> {
    const answer = await pool.request({
      method: method as 'GET',
      path: prefix + path,
      headers: [...headers, facadeHeader, instance],
      body: body ?? null,
      signal,
      responseHeaders: 'raw',
    });
    // With `raw`, undici gives the array that its types do not know.
    const raw = answer.headers as unknown as readonly string[];
    for (let index = 0; index < raw.length; index += 2)
      if (raw[index]!.toLowerCase() === facadeHeader) {
        answer.body.on('error', () => undefined).destroy();
        throw behindFacade();
      }
    return { status: answer.statusCode, headers: raw, body: answer.body };
  }

  return {
    async send(request) {
      try {
        return await once(request);
      } catch (thrown) {
        if (!brokenConnection.has(codeOf(thrown)) || !readsOnly(request)) throw upstreamError(thrown);
      }
      return once(request).catch((thrown: unknown) => {
        throw upstreamError(thrown);
      });
    },
    close: () => pool.destroy(),
  };
}
