import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatEndpoint,
  formatHostPort,
  parseEndpoint,
  parseHost,
  parseHostPort,
  parseNetwork,
  parseUrl,
} from '../../src/core/endpoint.ts';
import { refusal } from '../support/errors.ts';

describe('endpoint', () => {
  const hosts: readonly [text: string, host: string][] = [
    ['East.Example', 'east.example'],
    ['my_host-1', 'my_host-1'],
    ['127.0.0.1', '127.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['::1', '::1'],
    ['[FE80:0:0::1]', 'fe80::1'],
    ['::ffff:127.0.0.1', '::ffff:7f00:1'],
  ];
  for (const [text, host] of hosts) it(`writes host ${text} as ${host}`, () => expect(parseHost(text)).to.equal(host));

  const noHosts = [
    '',
    ' ',
    'a b',
    'a/b',
    'user@a',
    'a:1',
    '[::1',
    'fe80::1%eth0',
    'a?b',
    'a#b',
    '-a',
    'a*',
    '999.1.1.1',
  ];
  for (const text of noHosts)
    it(`refuses host ${JSON.stringify(text)}`, () => void refusal(() => parseHost(text), 'bad_request'));

  it('reads and writes endpoints', () => {
    expect(parseEndpoint('tls://East:9443')).to.deep.equal({ scheme: 'tls', host: 'east', port: 9443 });
    expect(parseEndpoint('tcp://[::1]:1')).to.deep.equal({ scheme: 'tcp', host: '::1', port: 1 });
    expect(formatEndpoint(parseEndpoint('tls://[0:0::1]:09443'))).to.equal('tls://[::1]:9443');
  });

  const noEndpoints = [
    '',
    'tls://',
    'tls://a',
    'tls://a:',
    'tls://a:0',
    'tls://a:65536',
    'http://a:1',
    'TLS://a:1',
    'tls://::1:1',
    'tls://a:1/',
    'tls://u@a:1',
    'tls://a:1 ',
    'tls://a:-1',
    `tls://${'a'.repeat(300)}:1`,
  ];
  for (const text of noEndpoints)
    it(`refuses endpoint ${text.slice(0, 30)}`, () => void refusal(() => parseEndpoint(text), 'bad_request'));

  it('reads what it writes', () => {
    const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()).map(parseHost);
    const law = fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
      const endpoint = { scheme: 'tls' as const, host: name, port };
      expect(parseEndpoint(formatEndpoint(endpoint))).to.deep.equal(endpoint);
    });
    fc.assert(law);
  });

  it('allows port 0 only where it is asked for', () => {
    expect(parseHostPort('127.0.0.1:0', 0)).to.deep.equal({ host: '127.0.0.1', port: 0 });
    refusal(() => parseHostPort('127.0.0.1:0'), 'bad_request');
    expect(formatHostPort({ host: '::', port: 9443 })).to.equal('[::]:9443');
  });

  const networks: readonly [text: string, network: string][] = [
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['FE80::/10', 'fe80::/10'],
    ['10.0.0.1', '10.0.0.1'],
    ['East', 'east'],
  ];
  for (const [text, network] of networks)
    it(`takes network ${text}`, () => expect(parseNetwork(text)).to.equal(network));

  for (const text of ['10.0.0.0/33', '::/129', 'east/8', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/a', '/8'])
    it(`refuses network ${text}`, () => void refusal(() => parseNetwork(text), 'bad_request'));

  it('reads URLs or gives null', () => {
    expect(parseUrl('http://a/')?.hostname).to.equal('a');
    expect(parseUrl('//')).to.equal(null);
  });
});
