/** `alliance init`: a home directory with key, certificate, key-encryption key, configuration and database. */
import { existsSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type Clock, systemClock } from '../core/clock.ts';
import { loadConfig } from '../core/config.ts';
import { sampleConfig } from '../core/configSample.ts';
import { parseEndpoint } from '../core/endpoint.ts';
import { AllianceError } from '../core/errors.ts';
import { parseCloudId } from '../core/ids.ts';
import { createIdentity, encryptKey, loadIdentity } from '../crypto/identity.ts';
import { createKeyringFile, loadKeyring } from '../crypto/keyring.ts';
import type { IdentityRecord } from '../model/identityRecord.ts';
import { openStore } from '../model/store.ts';
import { configPath, readNamed, writeWhole } from './files.ts';

export interface InitOptions {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: the first label of the host's name. */
  readonly cloudId?: string | undefined;
  /** Default: `tls://<host name>:9443`. */
  readonly advertise?: readonly string[] | undefined;
  readonly keystoneUrl?: string | undefined;
  readonly osCloud?: string | undefined;
  readonly clock?: Clock;
}

export interface Initialised {
  readonly home: string;
  readonly identity: IdentityRecord;
  readonly advertise: readonly string[];
}

/**
 * Each step is left as it is when a killed run had done it; the record in the database comes last and makes the home complete.
 * Throws `already_initialised`, `bad_request`, `configuration`.
 */
export async function initHome(options: InitOptions): Promise<Initialised> {
  const { env, clock = systemClock } = options;
  const home = resolve(options.home);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  if (!existsSync(configPath(home))) writeWhole(configPath(home), configText(options), 0o600);
  const config = loadConfig({ home, env });
  if (options.cloudId !== undefined && config.cloudId !== options.cloudId)
    throw new AllianceError('already_initialised', { details: `${configPath(home)} is of ${config.cloudId}.` });

  const { kekFile, url } = config.database;
  if (!existsSync(kekFile)) createKeyringFile(kekFile);
  const store = await openStore({ url, keyring: loadKeyring(kekFile), clock });
  try {
    if (await store.identities.current()) throw new AllianceError('already_initialised', { details: `${home}.` });
    const { keyFile, certificateFile, passphrase } = config.identity;
    if (!existsSync(certificateFile) || !existsSync(keyFile)) {
      const hosts = [...new Set(config.advertise.map((endpoint) => parseEndpoint(endpoint).host))];
      const made = await createIdentity({ cloudId: config.cloudId, hosts, now: clock.now() });
      const keyPem = passphrase === undefined ? made.keyPem : encryptKey(made.keyPem, passphrase);
      writeWhole(keyFile, keyPem, 0o600);
      writeWhole(certificateFile, made.certificatePem, 0o644);
    }
    const { fingerprint, algorithm, certificateDer, notBefore, notAfter } = loadIdentity({
      cloudId: config.cloudId,
      keyPem: readNamed(keyFile, 'identity.key_file'),
      certificatePem: readNamed(certificateFile, 'identity.certificate_file'),
      passphrase,
      now: clock.now(),
    });
    const facts = { fingerprint, algorithm, certificateDer, notBefore, notAfter };
    const identity = await store.identities.init({ cloudId: config.cloudId, ...facts });
    return { home, identity, advertise: config.advertise };
  } finally {
    await store.close();
  }
}

function configText({ cloudId, advertise, keystoneUrl, osCloud }: InitOptions): string {
  const endpoints = advertise ?? [`tls://${hostname().toLowerCase()}:9443`];
  for (const endpoint of endpoints) parseEndpoint(endpoint);
  return sampleConfig({
    cloudId: parseCloudId(cloudId ?? hostname().toLowerCase().split('.')[0]),
    advertise: endpoints,
    keystoneUrl,
    osCloud,
  });
}
