/**
 * Which addresses may be dialled on a partner's word. An endpoint comes from another cloud, so it must not lead the broker to services
 * of its own host or to a metadata service. Checked on the resolved address, at connect.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { parseHost } from '../core/endpoint.ts';
import { AllianceError } from '../core/errors.ts';

export interface DialPolicyOptions {
  /** Hosts, addresses and networks (CIDR) that are meant, whatever they are. */
  readonly allow: readonly string[];
  /** Addresses of this host's own interfaces; asked for each address that nothing else allows or refuses. */
  readonly ownAddresses: () => readonly string[];
}

export interface DialPolicy {
  /** Throws `dial_refused`. `host` is the name as written, `address` what it resolved to. */
  check(host: string, address: string): void;
}

/** The first one that holds names the reason. */
const refusedNetworks: readonly [address: string, prefix: number, why: string][] = [
  ['::', 128, 'unspecified'],
  ['::1', 128, 'loopback'],
  ['fe80::', 10, 'link-local'],
  ['fd00:ec2::254', 128, 'metadata'],
  ['fd20:ce::254', 128, 'metadata'],
  ['ff00::', 8, 'multicast'],
  ['0.0.0.0', 8, 'unspecified'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local or metadata'],
  ['100.100.100.200', 32, 'metadata'],
  ['192.0.0.192', 32, 'metadata'],
  ['168.63.129.16', 32, 'metadata'],
  ['224.0.0.0', 4, 'multicast'],
  ['255.255.255.255', 32, 'broadcast'],
];

const family = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

/** One spelling for each address, without the zone of a link-local one. */
const canonical = (address: string): string => parseHost(address.split('%')[0]!);

/** The eight groups of a canonical IPv6 address. */
function groupsOf(address: string): number[] {
  const [head = [], tail = []] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(8 - head.length - tail.length).fill('0');
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
}

/** Beginnings of IPv6 addresses that lead to an IPv4 one, which stands at the given group. */
const embeddings: readonly [prefix: readonly number[], at: number][] = [
  [[0, 0, 0, 0, 0, 0xffff], 6], // mapped, RFC 4291
  [[0, 0, 0, 0, 0, 0], 6], // compatible, RFC 4291
  [[0x64, 0xff9b, 0, 0, 0, 0], 6], // NAT64, RFC 6052
  [[0x2002], 1], // 6to4, RFC 3056
];

/** The places that an address may be another name for, itself first. */
function placesOf(address: string): string[] {
  const plain = canonical(address);
  if (!isIPv6(plain)) return [plain];
  const groups = groupsOf(plain);
  const found = embeddings.find(([prefix]) => prefix.every((group, at) => groups[at] === group));
  if (!found) return [plain];
  const [high = 0, low = 0] = groups.slice(found[1]);
  return [plain, `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`];
}

export function createDialPolicy(options: DialPolicyOptions): DialPolicy {
  const allowedHosts = new Set<string>();
  const allowedNetworks = new BlockList();
  for (const entry of options.allow) {
    const [address = '', prefix] = entry.split('/');
    if (isIP(address) === 0) allowedHosts.add(entry.toLowerCase());
    else allowedNetworks.addSubnet(address, Number(prefix ?? (isIPv6(address) ? 128 : 32)), family(address));
  }
  const refused = refusedNetworks.map(([address, prefix, why]) => {
    const list = new BlockList();
    list.addSubnet(address, prefix, family(address));
    return { list, why };
  });

  const isOwn = (places: readonly string[]): boolean => {
    const own = new Set(options.ownAddresses().flatMap(placesOf));
    return places.some((place) => own.has(place));
  };

  const check = (host: string, address: string): void => {
    const places = placesOf(address);
    const within = (list: BlockList): boolean => places.some((place) => list.check(place, family(place)));
    if (allowedHosts.has(host.toLowerCase()) || within(allowedNetworks)) return;
    const why = refused.find(({ list }) => within(list))?.why;
    const reason = why ?? (isOwn(places) ? "this host's own" : undefined);
    if (reason)
      throw new AllianceError('dial_refused', {
        details: `${host} resolves to ${places[0]}, which is ${reason} address.`,
      });
  };
  return { check };
}
