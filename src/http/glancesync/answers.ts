/** Errors as GlanceSync's API has them: `{error: {message, code}}`, with the status as the code. */
import type { FastifyReply } from 'fastify';
import type { AllianceError } from '../../core/errors.ts';
import type { ErrorName } from '../../core/errorTable.ts';
import { imageRestLimits } from '../../core/limits.ts';

/** Ends a request with an error that the API knows. */
export class RestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const badMethod = 'Bad method';
export const notFound = 'Item not found';
export const badRegion = 'Bad region';
export const unauthorized = 'Unauthorized';

/** Errors whose own words help whoever asked; all others say what the table says of them. */
const statuses: ReadonlyMap<ErrorName, readonly [status: number, message: string]> = new Map([
  ['region_not_found', [410, badRegion]],
  ['token_form_refused', [401, unauthorized]],
  ['overloaded', [503, 'Service unavailable: too much is going on.']],
  ['shutting_down', [503, 'Service unavailable: it is shutting down.']],
]);

/** For whoever asked: what went wrong, without what only the log may tell. */
export function restErrorOf({ errorName, entry }: AllianceError): RestError {
  const [status, message] = statuses.get(errorName) ?? [entry.httpStatus, entry.publicMessage];
  // What Keystone or Glance refuse to the broker is nothing that whoever asked could mend.
  return status < 500 && !statuses.has(errorName)
    ? new RestError(500, message)
    : new RestError(gateway(status), message);
}

/** The API knows 500 and 503 only. */
const gateway = (status: number): number => (status === 502 || status === 504 ? 503 : status);

export function sendError(reply: FastifyReply, { status, message }: RestError): FastifyReply {
  if (status === 503) void reply.header('retry-after', imageRestLimits.retryAfterS);
  if (status === 401) void reply.header('www-authenticate', 'Keystone');
  return reply.code(status).send({ error: { message, code: status } });
}
