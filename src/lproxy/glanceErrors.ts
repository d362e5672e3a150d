/** What statuses of a Glance mean, and what it says of them. */
import { AllianceError } from '../core/errors.ts';
import { glanceLimits } from '../core/limits.ts';
import { codeOf } from './keystoneHttp.ts';

const malformedCodes =
  /^(UND_ERR_RES_EXCEEDED_MAX_SIZE|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH_MISMATCH|HPE_.*)$/;

/** What undici or the system threw, as an error of ours. */
export function connectionError(label: string, thrown: unknown): AllianceError {
  if (thrown instanceof AllianceError) return thrown;
  const code = codeOf(thrown);
  const name = malformedCodes.test(code) ? 'glance_malformed' : 'glance_unreachable';
  return new AllianceError(name, { details: `${label} (${code})`, cause: thrown });
}

export const malformed = (label: string, details: string): AllianceError =>
  new AllianceError('glance_malformed', { details: `${label}: ${details}` });

class Oversized extends Error {}

/** A body of more than there is room for. */
export const oversized = (label: string, mostBytes: number): AllianceError => {
  const details = `${label}: a body of more than ${mostBytes} bytes.`;
  return new AllianceError('glance_malformed', { details, cause: new Oversized(details) });
};

export const isOversized = (thrown: unknown): boolean =>
  thrown instanceof AllianceError && thrown.cause instanceof Oversized;

/** The words of an error, which is a page, JSON or plain text, in one line. */
function messageOf(text: string): string {
  const json = /^\s*\{/.test(text) ? messageOfJson(text) : undefined;
  return (json ?? text)
    .replace(/<(title|h1)>.*?<\/\1>/gis, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replace(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, glanceLimits.messageCharacters);
}

function messageOfJson(text: string): string | undefined {
  try {
    const body = JSON.parse(text) as { message?: unknown; error?: { message?: unknown } };
    const message = body.message ?? body.error?.message;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

/** Of who is there and fails, or has too much to do. */
export const isBusy = (status: number): boolean => status >= 500 || status === 429;

const aboutRoom = /quota|limit|exceed|too large|storage media is full/i;

/**
 * The error that an answer is. Only its beginning is told, and it is a service's of our own side or one that the operator named.
 *
 * @param id of the image that was asked for; absent where it is none, so that a 404 tells of a wrong address
 */
export function statusError(
  label: string,
  status: number,
  text: string,
  id?: string,
  retryAfterMs?: number,
): AllianceError {
  const words = messageOf(text);
  const details = `${label} answered ${status}${id === undefined ? '' : ` for image ${id}`}${words === '' ? '.' : `: ${words}`}`;
  if (status === 401) return new AllianceError('glance_refused', { details });
  if (status === 413 || (status === 403 && aboutRoom.test(words))) return new AllianceError('image_quota', { details });
  if ((status === 404 || status === 410) && id !== undefined) return new AllianceError('image_not_found', { details });
  if (status === 409) return new AllianceError('image_conflict', { details });
  if (status === 400 || status === 403) return new AllianceError('image_refused', { details });
  if (isBusy(status))
    return new AllianceError('glance_unreachable', { details, ...(retryAfterMs !== undefined && { retryAfterMs }) });
  return new AllianceError('glance_malformed', { details });
}
