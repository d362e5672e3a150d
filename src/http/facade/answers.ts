/** Answers of our own, in the form of Keystone's: clients read `error.code` and people read `error.message`. */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { AllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';

export interface Answer {
  readonly status: number;
  /** Names and values by turns, without the length. */
  readonly headers: readonly string[];
  readonly body: string;
}

const json = ['Content-Type', 'application/json'];

export function keystoneError(status: number, message: string, headers: readonly string[] = []): Answer {
  const body = JSON.stringify({ error: { code: status, message, title: STATUS_CODES[status] ?? 'Error' } });
  return { status, headers: [...json, ...headers], body };
}

/** Unknown, expired, revoked, denied: one and the same to the caller. */
export const notFound: Answer = keystoneError(404, 'Failed to validate token');

export const refusedTarget: Answer = keystoneError(400, 'The request target or a header is malformed.');

export const tooLarge: Answer = keystoneError(413, 'The request is too large.');

export const looped: Answer = keystoneError(508, 'The request has come through a facade already.');

/** `root`: URL of the facade without `/v3`. */
export const unauthorised = (root: string): Answer =>
  keystoneError(401, 'The request you have made requires authentication.', [
    'WWW-Authenticate',
    `Keystone uri="${root}/v3"`,
  ]);

export function unavailable(message: string, retryAfterMs: number = facadeLimits.retryAfterMs): Answer {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return keystoneError(503, message, ['Retry-After', String(seconds)]);
}

export const tooMany: Answer = unavailable('Too many requests at a time.');

/** What could not be done: 504 when time ran out, 500 for our own faults, else 503. */
export function failed(error: AllianceError): Answer {
  if (error.errorName === 'deadline_exceeded') return keystoneError(504, 'Keystone did not answer in time.');
  if (error.errorName === 'internal')
    return keystoneError(500, 'An unexpected error prevented the server from fulfilling your request.');
  return unavailable('The service is currently unavailable.', error.retryAfterMs);
}

/** Valid, with the body for the service. `token` is the one that was asked about, as it was sent. */
export const validated = (body: string, token: string): Answer => ({
  status: 200,
  headers: [...json, 'X-Subject-Token', token],
  body,
});

/** `fixed`: headers of every answer of this facade. */
export function writeAnswer(
  response: ServerResponse,
  { status, headers, body }: Answer,
  fixed: readonly string[],
  head: boolean,
): void {
  const length = status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(body))];
  response.writeHead(status, [...headers, ...length, 'Vary', 'X-Auth-Token', ...fixed] as never);
  response.end(head ? undefined : body);
}
