/** AllianceError to what travels (AException) and back. Nothing internal goes out, and nothing that came in is trusted as text. */
import { AllianceError, type ErrorOptions } from '../core/errors.ts';
import { errorNameOf, errorTable } from '../core/errorTable.ts';
import { wireLimits } from '../core/limits.ts';
import { AException } from './types.ts';

/** TApplicationException, type UNKNOWN_METHOD (Thrift's numbers). */
const applicationUnknownMethod = 1;

/**
 * What a peer may know of an error. Errors of storage and installation (1600 to 1699) go out as `internal`; details go out only
 * where the caller's own field is at fault.
 */
export function toException(error: AllianceError, requestId?: string): AException {
  const ofInstallation = error.code >= 1600 && error.code < 1700;
  const entry = ofInstallation ? errorTable.get('internal') : error.entry;
  const { code, publicMessage } = entry ?? error.entry;
  const aboutField = error.field !== undefined && error.entry.httpStatus === 400 && !ofInstallation && !error.remote;
  const message = aboutField && error.details !== undefined ? `${publicMessage} ${error.details}` : publicMessage;
  return new AException({
    code,
    message: cleanText(message, wireLimits.errorMessageBytes),
    retryable: error.retryable,
    ...(requestId === undefined ? {} : { request_id: cleanText(requestId, wireLimits.requestIdBytes) }),
    ...(error.retryable && error.retryAfterMs !== undefined
      ? { retry_after_ms: Math.min(Math.max(0, Math.ceil(error.retryAfterMs)), wireLimits.retryAfterMs) }
      : {}),
  });
}

/** The error of a peer's exception: `remote`, with our name for its code, or `internal` and `remoteCode` where we have none. */
export function fromException(exception: AException): AllianceError {
  const name = errorNameOf(exception.code);
  const text = cleanText(exception.message, wireLimits.errorMessageBytes);
  const publicMessage = name === undefined ? '' : (errorTable.get(name)?.publicMessage ?? '');
  const details = text.startsWith(publicMessage) ? text.slice(publicMessage.length).trim() : text;
  const { request_id: requestId, retry_after_ms: retryAfterMs, retryable } = exception;
  return new AllianceError(name ?? 'internal', {
    remote: true,
    remoteCode: exception.code,
    ...(details === '' ? {} : { details }),
    ...(requestId === undefined ? {} : { requestId: cleanText(requestId, wireLimits.requestIdBytes) }),
    ...retryOf(name !== undefined, retryable, retryAfterMs),
  });
}

/** An error of a number unknown here is not retried unless the peer says so. */
function retryOf(known: boolean, retryable: boolean | undefined, retryAfterMs: number | undefined): ErrorOptions {
  const said = retryable ?? (known ? undefined : false);
  return {
    ...(said === undefined ? {} : { retryable: said }),
    ...(retryAfterMs !== undefined && retryAfterMs >= 0
      ? { retryAfterMs: Math.min(retryAfterMs, wireLimits.retryAfterMs) }
      : {}),
  };
}

/** The error of a TApplicationException, with which Thrift reports what is no declared exception. */
export function fromApplicationException(type: number, message: string): AllianceError {
  const details = cleanText(message, wireLimits.errorMessageBytes);
  const options = { remote: true, retryable: false, ...(details === '' ? {} : { details }) };
  return new AllianceError(type === applicationUnknownMethod ? 'unknown_method' : 'internal', options);
}

/** One line without control and format characters, cut to so many bytes of UTF-8 at a character's end. */
export function cleanText(text: string, maxBytes: number): string {
  // A character has at most 3 bytes per UTF-16 unit, so only this much of a long text can matter.
  const clean = text
    .slice(0, maxBytes)
    .replace(/[\s\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  if (Buffer.byteLength(clean) <= maxBytes) return clean;
  const bytes = Buffer.from(clean);
  let end = maxBytes;
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
