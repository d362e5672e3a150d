/** Request targets: which of them go on to Keystone at all, and what they ask for. */

export interface Target {
  /** As it came, query included: what Keystone is sent. */
  readonly raw: string;
  /** Decoded, and without the slashes at its end: what Keystone will route by. */
  readonly path: string;
  readonly query: URLSearchParams;
}

/** A second round of decoding, by somebody on the way, must find nothing to decode into a separator. */
const separators = /[/\\\p{Cc}]|%(2e|2f|5c|25|00)/iu;

/** The segment decoded; undefined for one that two parsers could read in two ways. */
function decodeSegment(segment: string): string | undefined {
  if (segment.includes('%') && !/^(?:[^%]|%[0-9a-f]{2})*$/i.test(segment)) return undefined;
  // Bytes that are no UTF-8 become U+FFFD for us, and may become anything for others.
  const decoded = segment.includes('%') ? Buffer.from(decodeBytes(segment), 'latin1').toString('utf8') : segment;
  if (decoded === '.' || decoded === '..' || decoded.includes('\ufffd') || separators.test(decoded)) return undefined;
  return decoded;
}

const decodeBytes = (segment: string): string =>
  segment.replace(/%([0-9a-f]{2})/gi, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/**
 * undefined for what is refused: any form but the origin form, empty and dot segments, also encoded, encoded separators, and
 * characters that have no place in a target.
 */
export function parseTarget(raw: string): Target | undefined {
  if (!raw.startsWith('/') || !/^[\x21-\x7e]*$/.test(raw) || /[\\#]/.test(raw)) return undefined;
  const mark = raw.indexOf('?');
  const rawPath = mark < 0 ? raw : raw.slice(0, mark);
  if (rawPath.includes('//')) return undefined;
  const segments = rawPath.slice(1).split('/');
  // One slash at the end is in use; Keystone takes it away.
  if (segments.length > 1 && segments.at(-1) === '') segments.pop();
  const decoded: string[] = [];
  for (const segment of segments) {
    const text = decodeSegment(segment);
    if (text === undefined) return undefined;
    decoded.push(text);
  }
  return { raw, path: `/${decoded.join('/')}`, query: new URLSearchParams(mark < 0 ? '' : raw.slice(mark + 1)) };
}
