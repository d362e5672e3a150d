/** Headers on their way through: what of a caller's reaches Keystone, and what of Keystone's reaches the caller. */

/** What concerns one connection only (RFC 9110, 7.6.1), and what undici sets or refuses itself. */
const ofConnection = new Set([
  'connection',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What a web server in front of Keystone says of the caller; from a caller itself it would be a lie. */
const ofServer =
  /^(proxy|forwarded$|remote-|ssl-|oidc-|mellon-|shib-|x-forwarded-|x-remote-|x-ssl-|x-client-|x-real-|x-original-|x-rewrite-|x-http-method|x-alliance-)/;

/** Headers that decide whose word counts: two of a kind could be read in two ways. */
const singular = new Set([
  'content-length',
  'content-type',
  'openstack-identity-access-rules',
  'x-auth-token',
  'x-service-token',
  'x-subject-token',
]);

export interface CallerHeaders {
  /** Names and values by turns, as they may go on. */
  readonly passed: readonly string[];
  /** Of `singular`, those that are there. */
  readonly values: ReadonlyMap<string, string>;
}

/** Names in a Connection header; the header may come more than once. */
function namedByConnection(raw: readonly string[]): ReadonlySet<string> {
  let named = ofConnection;
  for (let index = 0; index < raw.length; index += 2)
    if (raw[index]!.toLowerCase() === 'connection' && !/^(keep-alive|close)$/i.test(raw[index + 1]!))
      named = new Set([...named, ...raw[index + 1]!.toLowerCase().split(/[\s,]+/)]);
  return named;
}

/**
 * Reads a caller's headers, names and values by turns; undefined where one that must be single comes twice. A name with an underscore
 * is left out: to WSGI it is the same as one with a hyphen.
 */
export function readCallerHeaders(raw: readonly string[]): CallerHeaders | undefined {
  const dropped = namedByConnection(raw);
  const passed: string[] = [];
  const values = new Map<string, string>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    const value = raw[index + 1]!;
    if (dropped.has(name) || ofServer.test(name) || name.includes('_')) continue;
    if (singular.has(name)) {
      if (values.has(name)) return undefined;
      values.set(name, value);
    }
    passed.push(name, value);
  }
  return { passed, values };
}

/** The same headers without those of these names. */
export const withoutHeaders = (headers: readonly string[], ...names: string[]): string[] =>
  headers.filter((_text, index) => !names.includes(headers[index - (index % 2)]!.toLowerCase()));

export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index]!.toLowerCase() === name) return headers[index + 1];
  return undefined;
}

/** An address as `Forwarded` wants it (RFC 7239, 6). */
const node = (address: string): string => (address.includes(':') ? `"[${address}]"` : address);

/** Who asks and how, in our own words. `root` is the URL that services know the facade by. */
export function forwardedHeaders(address: string, root: URL): string[] {
  const proto = root.protocol.slice(0, -1);
  return [
    'x-forwarded-for',
    address,
    'x-forwarded-proto',
    proto,
    'x-forwarded-host',
    root.host,
    'forwarded',
    `for=${node(address)};host="${root.host}";proto=${proto}`,
  ];
}

/** Keystone's headers as they go to the caller. */
export const passedAnswerHeaders = (headers: readonly string[]): string[] =>
  withoutHeaders(headers, ...namedByConnection(headers), 'proxy-authenticate', 'proxy-connection');
