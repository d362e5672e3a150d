import { expect } from 'chai';
import fc from 'fast-check';
import { createDialPolicy } from '../../src/client/dialPolicy.ts';
import { refusal } from '../support/errors.ts';

const hex = (value: number) => value.toString(16);
/** Ways to write the IPv6 addresses that lead to an IPv4 one. */
function spellings(ipv4: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number);
  const [high, low] = [hex(a * 256 + b), hex(c * 256 + d)];
  return [
    `::ffff:${ipv4}`,
    `::FFFF:${high}:${low}`,
    `0:0:0:0:0:ffff:${high}:${low}`,
    `0000:0000:0000:0000:0000:ffff:${ipv4}`,
    `64:ff9b::${ipv4}`,
    `64:ff9b:0:0:0:0:${high}:${low}`,
    `2002:${high}:${low}::1`,
  ];
}
const octet = fc.integer({ min: 0, max: 255 });

describe('dial policy', () => {
  const strict = createDialPolicy({ allow: [], ownAddresses: () => ['198.51.100.7', '2001:db8::7', 'fe80::1%eth0'] });
  const passes = (address: string, policy = strict, host = 'partner.example') => policy.check(host, address);
  const refuses = (address: string, policy = strict, host = 'partner.example') =>
    refusal(() => policy.check(host, address), 'dial_refused');

  const refused: [address: string, why: RegExp][] = [
    ['127.0.0.1', /loopback/],
    ['127.255.255.254', /loopback/],
    ['0.0.0.0', /unspecified/],
    ['169.254.169.254', /metadata/],
    ['169.254.1.1', /link-local/],
    ['100.100.100.200', /metadata/],
    ['192.0.0.192', /metadata/],
    ['168.63.129.16', /metadata/],
    ['224.0.0.1', /multicast/],
    ['239.255.255.255', /multicast/],
    ['255.255.255.255', /broadcast/],
    ['198.51.100.7', /own/],
    ['::', /unspecified/],
    ['::1', /loopback/],
    ['0:0:0:0:0:0:0:1', /loopback/],
    ['fe80::1234', /link-local/],
    ['fe80::1234%eth0', /link-local/],
    ['febf::1', /link-local/],
    ['fd00:ec2::254', /metadata/],
    ['ff02::1', /multicast/],
    ['2001:db8::7', /own/],
    ['2001:0DB8:0000::0007', /own/],
  ];
  for (const [address, why] of refused)
    it(`refuses ${address}, and tells why`, () => expect(refuses(address).details).to.match(why));

  for (const address of [
    '10.0.0.1',
    '192.168.1.1',
    '203.0.113.1',
    '100.64.0.1',
    '128.0.0.1',
    '2001:db8::8',
    'fd12::1',
    'fec0::1',
  ])
    it(`lets ${address} pass`, () => passes(address));

  it('sees through every IPv6 form of an IPv4 address', () => {
    for (const ipv4 of ['127.0.0.1', '169.254.169.254', '198.51.100.7', '0.0.0.0'])
      for (const address of spellings(ipv4)) refuses(address);
    for (const address of spellings('203.0.113.9')) passes(address);
    refuses('::127.0.0.1');
  });

  it('judges an IPv4 address and its mapped form alike', () => {
    fc.assert(
      fc.property(fc.tuple(octet, octet, octet, octet), (octets) => {
        const ipv4 = octets.join('.');
        const verdict = (address: string) => {
          try {
            passes(address);
            return 'passes';
          } catch {
            return 'refused';
          }
        };
        for (const address of spellings(ipv4)) expect(verdict(address), address).to.equal(verdict(ipv4));
      }),
    );
  });

  it('allows what is meant: addresses, networks, hosts, and nothing beside them', () => {
    const policy = createDialPolicy({
      allow: ['127.0.0.0/30', '169.254.7.7', 'fe80::/64', '::1', 'Lab.Example'],
      ownAddresses: () => [],
    });
    for (const address of ['127.0.0.1', '127.0.0.3', '169.254.7.7', 'fe80::9', '::1', '::ffff:127.0.0.2'])
      passes(address, policy);
    for (const address of ['127.0.0.4', '169.254.7.8', 'fe80:0:0:1::9']) refuses(address, policy);
    passes('127.9.9.9', policy, 'lab.example');
    refuses('127.9.9.9', policy, 'other.lab.example');
  });

  it('any network of the list holds exactly its addresses', () => {
    fc.assert(
      fc.property(octet, fc.integer({ min: 8, max: 32 }), fc.tuple(octet, octet, octet), (base, bits, rest) => {
        const policy = createDialPolicy({ allow: [`127.0.${base}.0/${bits}`], ownAddresses: () => [] });
        const value = (a: number, b: number, c: number) => (127 << 24) | (a << 16) | (b << 8) | c;
        const mask = -1 << (32 - bits);
        const inside = (value(...rest) & mask) === (value(0, base, 0) & mask);
        const address = ['127', ...rest].join('.');
        if (inside) passes(address, policy);
        else refuses(address, policy);
      }),
    );
  });
});
