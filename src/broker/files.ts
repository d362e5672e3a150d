/** Files of the home directory that are not the database: private keys, certificates, the configuration. Written whole or not at all. */

import { X509Certificate } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { OwnIdentity } from '../client/trustView.ts';
import type { Config } from '../core/config.ts';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { readCertificate } from '../crypto/certificate.ts';
import { loadIdentity } from '../crypto/identity.ts';
import type { IdentityRecord } from '../model/identityRecord.ts';

export const configPath = (home: string): string => join(home, 'alliance.yaml');

/** Where the key of a rotated identity lives; the first one is where configuration says. */
export const rotatedKeyPath = (home: string, fingerprint: Buffer): string =>
  join(home, 'identities', `${fingerprint.toString('hex')}.pem`);

/** Writes a file so that a crash leaves the old content or the new, never a part. */
export function writeWhole(path: string, text: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(temporary, 'w', mode);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

/** Text of a file that configuration names; `field` is where it does. */
export function readNamed(path: string, field: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AllianceError('configuration', { field, cause, details: `${field}: ${path}: ${errnoOf(cause)}.` });
  }
}

/** Our usable identities with their private keys, the current one first. */
export function loadOwnIdentities(config: Config, records: readonly IdentityRecord[]): OwnIdentity[] {
  const usable = records.filter(({ state }) => state !== 'retired');
  const ordered = usable.sort((a, b) => b.sequence - a.sequence);
  return ordered.map((record) => {
    const { identity, fingerprint } = { identity: config.identity, fingerprint: record.fingerprint };
    const rotated = rotatedKeyPath(config.home, fingerprint);
    const keyPem = readNamed(existsSync(rotated) ? rotated : identity.keyFile, 'identity.key_file');
    const loaded = loadIdentity({
      cloudId: record.cloudId,
      keyPem,
      certificatePem: new X509Certificate(record.certificateDer).toString(),
      passphrase: identity.passphrase,
    });
    return { identity: loaded, sequence: record.sequence, overlapTill: record.overlapTill };
  });
}

/** What `init` and `serve` say when the configured certificate is not the one in use. */
export function assertConfiguredIdentity(config: Config, records: readonly IdentityRecord[]): void {
  const { certificateFile } = config.identity;
  if (!existsSync(certificateFile)) return;
  const { fingerprint } = readCertificate(readNamed(certificateFile, 'identity.certificate_file'));
  if (records.some((record) => equalBytes(record.fingerprint, fingerprint))) return;
  throw new AllianceError('configuration', {
    field: 'identity.certificate_file',
    details:
      'identity.certificate_file is not an identity of this broker: use `alliance identity rotate` to change it.',
  });
}
