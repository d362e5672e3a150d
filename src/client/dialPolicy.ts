/**
 * Which addresses may be dialled on a partner's word. An endpoint comes from another cloud, so it must not lead the broker to services
 * of its own host or to a metadata service. Checked on the resolved address, at connect.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { AllianceError } from '../core/errors.ts';

export interface DialPolicyOptions {
  /** Hosts, addresses and networks (CIDR) that are meant, whatever they are. */
  readonly allow: readonly string[];
  /** Addresses of this host's own interfaces. */
  readonly ownAddresses: readonly string[];
}

export interface DialPolicy {
  /** Throws `dial_refused`. `host` is the name as written, `address` what it resolved to. */
  check(host: string, address: string): void;
}

const refusedNetworks: readonly [address: string, prefix: number, why: string][] = [
  ['0.0.0.0', 8, 'unspecified'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local or metadata'],
  ['100.100.100.200', 32, 'metadata'],
  ['192.0.0.192', 32, 'metadata'],
  ['224.0.0.0', 4, 'multicast'],
  ['255.255.255.255', 32, 'broadcast'],
  ['::', 128, 'unspecified'],
  ['::1', 128, 'loopback'],
  ['fe80::', 10, 'link-local'],
  ['fd00:ec2::254', 128, 'metadata'],
  ['ff00::', 8, 'multicast'],
];

const family = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

/** `::ffff:127.0.0.1` is the same place as `127.0.0.1`. */
function unmapped(address: string): string {
  const match = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (match) return match[1]!;
  const hex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address);
  if (!hex) return address.split('%')[0]!;
  const [high, low] = [Number.parseInt(hex[1]!, 16), Number.parseInt(hex[2]!, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

export function createDialPolicy(options: DialPolicyOptions): DialPolicy {
  const allowedHosts = new Set<string>();
  const allowedNetworks = new BlockList();
  for (const entry of options.allow) {
    const [address = '', prefix] = entry.split('/');
    if (isIP(address) === 0) allowedHosts.add(entry.toLowerCase());
    else allowedNetworks.addSubnet(address, Number(prefix ?? (isIPv6(address) ? 128 : 32)), family(address));
  }
  const own = new Set(options.ownAddresses.map(unmapped));
  const refused = refusedNetworks.map(([address, prefix, why]) => {
    const list = new BlockList();
    list.addSubnet(address, prefix, family(address));
    return { list, why };
  });

  const check = (host: string, address: string): void => {
    const plain = unmapped(address);
    if (allowedHosts.has(host.toLowerCase()) || allowedNetworks.check(plain, family(plain))) return;
    const why = refused.find(({ list }) => list.check(plain, family(plain)))?.why;
    const reason = why ?? (own.has(plain) ? "this host's own" : undefined);
    if (reason)
      throw new AllianceError('dial_refused', { details: `${host} resolves to ${plain}, which is ${reason} address.` });
  };
  return { check };
}
