/** Files of the home directory that are not the database: private keys, certificates, the configuration. */
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { OwnIdentity } from '../client/trustView.ts';
import { readRegularFile, whyUnread } from '../core/boundedFile.ts';
import type { Config } from '../core/config.ts';
import { AllianceError } from '../core/errors.ts';
import { fileLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { readCertificate } from '../crypto/certificate.ts';
import { loadIdentity } from '../crypto/identity.ts';
import type { IdentityRecord } from '../model/identityRecord.ts';

export const configPath = (home: string): string => join(home, 'alliance.yaml');

/** Where the key of a rotated identity lives; the first one is where configuration says. */
export const rotatedKeyPath = (home: string, fingerprint: Buffer): string =>
  join(home, 'identities', `${fingerprint.toString('hex')}.pem`);

/** Text of a PEM file that configuration names; `field` is where it does. */
export const readNamed = (path: string, field: string): string => readWithMode(path, field).text;

function readWithMode(path: string, field: string): ReturnType<typeof readRegularFile> {
  try {
    return readRegularFile(path, fileLimits.pemBytes);
  } catch (cause) {
    throw new AllianceError('configuration', { field, cause, details: `${field}: ${path}: ${whyUnread(cause)}.` });
  }
}

/** A private key, PEM. Like ssh, refuses one that lies there for others to read, unless it is encrypted. */
export function readKeyFile(path: string): string {
  const { text, mode } = readWithMode(path, 'identity.key_file');
  if (mode & 0o077 && !text.includes('ENCRYPTED'))
    throw new AllianceError('configuration', {
      field: 'identity.key_file',
      details: `Others than its owner have access to ${path}.`,
      remedy: `Run \`chmod 600 ${path}\`; if others may have read the key, then \`alliance identity rotate --compromised\`.`,
    });
  return text;
}

/** The file with the private key of one of our identities. */
export function keyFileOf({ home, identity }: Config, { fingerprint }: IdentityRecord): string {
  const rotated = rotatedKeyPath(home, fingerprint);
  return existsSync(rotated) ? rotated : identity.keyFile;
}

/** Those that count: a former key whose overlap has run out does not, whether or not somebody has written that down yet. */
export const usableRecords = (records: readonly IdentityRecord[], now: number): IdentityRecord[] =>
  records.filter(({ state, overlapTill }) => state !== 'retired' && (overlapTill === null || now < overlapTill));

/** One of our identities with its private key. `configuration` when that is not to be had. */
export function loadOwnIdentity(config: Config, record: IdentityRecord): OwnIdentity {
  const identity = loadIdentity({
    cloudId: record.cloudId,
    keyPem: readKeyFile(keyFileOf(config, record)),
    certificatePem: new X509Certificate(record.certificateDer).toString(),
    passphrase: config.identity.passphrase,
  });
  return { identity, sequence: record.sequence, overlapTill: record.overlapTill };
}

/** What `init` and `serve` say when the configured certificate is not the one in use. */
export function assertConfiguredIdentity(config: Config, records: readonly IdentityRecord[]): void {
  const { certificateFile } = config.identity;
  if (!existsSync(certificateFile)) return;
  const { fingerprint } = readCertificate(readNamed(certificateFile, 'identity.certificate_file'));
  if (records.some((record) => equalBytes(record.fingerprint, fingerprint))) return;
  throw new AllianceError('configuration', {
    field: 'identity.certificate_file',
    details: `${certificateFile} is not an identity of this broker: \`alliance identity rotate\` changes it, not an exchange of files.`,
    remedy:
      'Put the former key and certificate back, and run `alliance identity rotate --key NEW --certificate NEW`. Where the former key is lost, add --compromised, and pair again.',
  });
}
