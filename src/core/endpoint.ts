/** Addresses as text: endpoints of brokers (`tls://host:port`), addresses to listen on (`HOST:PORT`), networks (CIDR). */
import { AllianceError } from './errors.ts';
import { pairingLimits } from './limits.ts';

export interface HostPort {
  /** DNS name in lower case, IPv4 in dotted form, or IPv6 in its shortest form without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface Endpoint extends HostPort {
  readonly scheme: 'tls' | 'tcp';
}

const refuse = (details: string): never => {
  throw new AllianceError('bad_request', { details });
};

/** The text as a URL, or null (URL.parse is younger than Node 20). */
export function parseUrl(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

/**
 * The one spelling of a host. WHATWG URL parsing resolves every odd way to write an IPv4 address (`0x7f.1`), so that a policy
 * on addresses sees what a dialler would dial.
 */
export function parseHost(text: string): string {
  const url = parseUrl(`http://${text.includes(':') && !text.startsWith('[') ? `[${text}]` : text}/`);
  const host = url?.hostname ?? '';
  const plain = url !== null && url.username === '' && url.port === '' && url.pathname === '/' && url.search === '';
  if (!plain || url.hash !== '') return refuse(`"${text}" is no host name or address.`);
  if (host.startsWith('[')) return host.slice(1, -1);
  if (!/^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_.])?$/.test(host)) return refuse(`"${text}" is no host name or address.`);
  return host;
}

export const formatHostPort = ({ host, port }: HostPort): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

export const formatEndpoint = (endpoint: Endpoint): string => `${endpoint.scheme}://${formatHostPort(endpoint)}`;

/** `HOST:PORT`, `[::1]:PORT`. Port 0 only where `lowestPort` allows it (listening: any free port). */
export function parseHostPort(text: string, lowestPort = 1): HostPort {
  const match = /^(\[[^\]]*\]|[^:[\]]+):(\d{1,5})$/.exec(text);
  if (!match) return refuse(`"${text}" must be HOST:PORT, with an IPv6 address in brackets.`);
  const port = Number(match[2]);
  if (port < lowestPort || port > 65_535) return refuse(`Port ${match[2]} is not between ${lowestPort} and 65535.`);
  return { host: parseHost(match[1]!), port };
}

/** `tls://host:port` or `tcp://host:port`; anything more (user, path) is refused. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(tls|tcp):\/\/(.*)$/.exec(text);
  if (!match || text.length > pairingLimits.endpointBytes)
    return refuse(`"${text.slice(0, 100)}" must be tls://HOST:PORT or tcp://HOST:PORT.`);
  return { scheme: match[1] === 'tls' ? 'tls' : 'tcp', ...parseHostPort(match[2]!) };
}

/** One entry of a list of networks: a host, an address, or `ADDRESS/PREFIX`, in its one spelling. */
export function parseNetwork(text: string): string {
  const [address = '', prefix, ...rest] = text.split('/');
  const host = parseHost(address);
  if (prefix === undefined) return host;
  const bits = host.includes(':') ? 128 : 32;
  const numeric = bits === 128 || /^\d+\.\d+\.\d+\.\d+$/.test(host);
  if (rest.length > 0 || !numeric || !/^\d{1,3}$/.test(prefix) || Number(prefix) > bits)
    return refuse(`"${text}" must be a host, an address or ADDRESS/PREFIX.`);
  return `${host}/${Number(prefix)}`;
}
