/** `alliance init`: a home directory with key, certificate, key-encryption key, configuration and database. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { type Clock, systemClock } from '../core/clock.ts';
import { type Config, loadConfig } from '../core/config.ts';
import { sampleConfig } from '../core/configSample.ts';
import { parseEndpoint } from '../core/endpoint.ts';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { parseCloudId } from '../core/ids.ts';
import { createWhole, giveToOwner, makeDirectory } from '../core/wholeFile.ts';
import { createCertificate, createKey, encryptKey, loadIdentity } from '../crypto/identity.ts';
import { createKeyringFile, loadKeyring } from '../crypto/keyring.ts';
import type { IdentityRecord } from '../model/identityRecord.ts';
import { openStore } from '../model/store.ts';
import { configPath, readKeyFile, readNamed } from './files.ts';
import { certificateOptions } from './identity.ts';

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

/** Throws `configuration` where there can be none. */
export function makeHome(home: string): void {
  try {
    makeDirectory(home);
  } catch (cause) {
    const details = `The home directory ${home} cannot be made (${errnoOf(cause)}).`;
    const remedy = 'Name a directory that this user may make, by --home or ALLIANCE_HOME.';
    throw new AllianceError('configuration', { field: 'home', details, remedy, cause });
  }
}

/**
 * Each step is left as it is when a killed run had done it; the record in the database comes last and makes the home complete.
 * Throws `already_initialised`, `bad_request`, `configuration`.
 */
export async function initHome(options: InitOptions): Promise<Initialised> {
  const { env, clock = systemClock } = options;
  const home = resolve(options.home);
  makeHome(home);
  if (!existsSync(configPath(home))) createWhole(configPath(home), configText(options), 0o600);
  const config = loadConfig({ home, env });
  if (options.cloudId !== undefined && config.cloudId !== options.cloudId)
    throw new AllianceError('already_initialised', { details: `${configPath(home)} is of ${config.cloudId}.` });

  const { kekFile, url } = config.database;
  if (!existsSync(kekFile)) createKeyringFile(kekFile);
  const store = await openStore({ url, keyring: loadKeyring(kekFile), clock });
  giveToOwner(url.replace(/^sqlite:/, ''));
  try {
    if (await store.identities.current()) throw new AllianceError('already_initialised', { details: `${home}.` });
    const { keyFile, certificateFile, passphrase } = config.identity;
    await completeIdentity(config, clock.now());
    const { fingerprint, algorithm, certificateDer, notBefore, notAfter } = loadIdentity({
      cloudId: config.cloudId,
      keyPem: readKeyFile(keyFile),
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

/**
 * Makes what is missing of key and certificate, the key first. Nothing is ever replaced: a key that is there is the operator's own, or
 * that of an `init` that was killed or runs at this moment.
 */
async function completeIdentity(config: Config, now: number): Promise<void> {
  const { keyFile, certificateFile, passphrase } = config.identity;
  // In this order, as another process makes the key first.
  const certified = existsSync(certificateFile);
  if (!existsSync(keyFile)) {
    if (certified)
      throw new AllianceError('configuration', {
        field: 'identity.key_file',
        details: `There is a certificate, ${certificateFile}, but not its key, ${keyFile}.`,
        remedy: 'Put the key there; or move the certificate away, and both are made anew.',
      });
    const keyPem = await createKey();
    makeDirectory(dirname(keyFile));
    createWhole(keyFile, passphrase === undefined ? keyPem : encryptKey(keyPem, passphrase), 0o600);
  }
  if (certified) return;
  const certificatePem = await createCertificate(
    { keyPem: readKeyFile(keyFile), passphrase },
    certificateOptions(config, now),
  );
  makeDirectory(dirname(certificateFile));
  createWhole(certificateFile, certificatePem, 0o644);
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
