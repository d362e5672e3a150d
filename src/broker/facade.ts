/** The facade of a running broker: its configuration, its certificate, and what it answers from. */
import type { Config } from '../core/config.ts';
import type { HostPort } from '../core/endpoint.ts';
import { AllianceError } from '../core/errors.ts';
import { type FacadeFace, type FacadeTls, startFacade } from '../http/facade/facade.ts';
import { resolveKeystone } from '../lproxy/credentials.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import { type Federation, missingKeystone } from './federation.ts';
import { readNamed } from './files.ts';
import type { Installation } from './installation.ts';

/** Certificate and key as the files have them now; undefined where none is configured. @throws AllianceError configuration */
export function readFacadeTls({ facade }: Pick<Config, 'facade'>): FacadeTls | undefined {
  const { certificateFile, keyFile } = facade;
  if (certificateFile === undefined && keyFile === undefined) return undefined;
  if (certificateFile === undefined || keyFile === undefined)
    throw new AllianceError('configuration', {
      field: 'facade.certificate_file',
      details: 'facade.certificate_file and facade.key_file go together.',
    });
  return {
    cert: readNamed(certificateFile, 'facade.certificate_file'),
    key: readNamed(keyFile, 'facade.key_file'),
  };
}

/** @throws AllianceError configuration: no Keystone, one that is a facade, a certificate that is none, an address that is taken */
export function openFacade(
  installation: Installation,
  { foreign, localiser, notices, revocations }: Federation,
  keystone: Keystone | undefined,
  address: HostPort,
): Promise<FacadeFace> {
  const { config, env, store, clock, log, telemetry } = installation;
  const { authUrl, cacert } = keystone ? resolveKeystone(config.keystone, { env }) : missingKeystone();
  return startFacade({
    address,
    tls: readFacadeTls(config),
    url: config.facade.url,
    keystone: keystone ?? missingKeystone(),
    upstream: { authUrl, cacert },
    foreign,
    localiser: localiser(),
    audit: store.audit,
    own: {
      issued: (token) => notices.announce(token),
      revoked: () => revocations.poke(),
    },
    clock,
    log,
    telemetry,
    limits: { connectionsPerAddress: config.facade.connectionsPerAddress },
  });
}
