/** A facade whose Keystone is a facade: it would vouch for third clouds' tokens, or ask itself without end. */
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import type { HostPort } from '../../core/endpoint.ts';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { behindFacade, parseAuthUrl } from '../../lproxy/keystoneHttp.ts';
import type { Upstream } from '../../lproxy/upstream.ts';

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

const addressesOf = (host: string): Promise<string[]> =>
  lookup(host, { all: true }).then(
    (found) => found.map(({ address }) => address),
    // What has no address now cannot be us.
    () => [],
  );

/**
 * Compares where `auth_url` leads with where the facade listens, after resolution, and with the URL it is known by.
 * @throws AllianceError configuration
 */
export async function assertOtherAddress(authUrl: string, address: HostPort, root: string): Promise<void> {
  const { origin, base } = parseAuthUrl(authUrl);
  if (`${origin}${base}` === `${root}/v3`) throw behindFacade();
  const url = new URL(origin);
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  if (port !== address.port) return;
  const theirs = await addressesOf(url.hostname.replace(/^\[|\]$/g, ''));
  const ours = isWildcard(address.host) ? ownAddresses() : await addressesOf(address.host);
  const same = (one: string): boolean => ours.includes(one) || (isWildcard(address.host) && isLoopback(one));
  if (theirs.some(same)) throw behindFacade();
}

/**
 * Asks the configured Keystone once, to see whether a facade answers. One that does not answer now is asked for that header
 * with every later request.
 * @throws AllianceError configuration
 */
export async function probeKeystone(upstream: Upstream, log: Logger): Promise<void> {
  const signal = AbortSignal.timeout(facadeLimits.callerTimeoutMs);
  const request = { method: 'GET', path: '/v3', headers: ['accept', 'application/json'], signal };
  await upstream.send(request).then(
    ({ body }) => body.on('error', () => undefined).destroy(),
    (thrown: unknown) => {
      const error = toAllianceError(thrown);
      if (error.errorName === 'configuration') throw error;
      log.warn({ err: error }, 'Keystone does not answer the facade.');
    },
  );
}

/** Where services reach the facade, without `/v3`. @throws AllianceError configuration where nobody said and nobody can guess */
export function rootOf(url: string | undefined, address: HostPort, tls: boolean): string {
  if (url !== undefined) return url.replace(/\/+$/, '').replace(/\/v3$/, '');
  if (isWildcard(address.host))
    throw new AllianceError('configuration', {
      field: 'facade.url',
      details: 'facade.url is missing: with facade.listen on all addresses it cannot be guessed.',
    });
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${tls ? 'https' : 'http'}://${host}:${address.port}`;
}
