/** The identity of a cloud: one private key and the certificate around it. */
import { createPrivateKey, generateKeyPair, type KeyObject, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { AllianceError } from '../core/errors.ts';
import type { CloudId } from '../core/ids.ts';
import { fileLimits, identityLimits } from '../core/limits.ts';
import { algorithmOfKey, type CertificateFacts, readCertificate } from './certificate.ts';
import type { SignatureAlgorithm } from './jws.ts';
import { altName, selfSigned } from './selfSigned.ts';

export interface Identity {
  readonly cloudId: CloudId;
  readonly privateKey: KeyObject;
  readonly certificate: X509Certificate;
  readonly certificateDer: Buffer;
  readonly certificatePem: string;
  /** Unencrypted PKCS#8, for TLS, which takes no KeyObject. Not enumerable: it shows in no log, no JSON and no spread copy. */
  readonly keyPem: string;
  readonly algorithm: SignatureAlgorithm;
  /** SHA-256 of the SubjectPublicKeyInfo, 32 bytes. */
  readonly fingerprint: Buffer;
  /** Validity of the certificate, UTC epoch ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

interface CertificateOptions {
  readonly cloudId: CloudId;
  /** DNS names and addresses under which partners dial us. */
  readonly hosts: readonly string[];
  /** UTC epoch ms. */
  readonly now: number;
}

interface LoadIdentityOptions {
  readonly cloudId: CloudId;
  /** PKCS#8, PKCS#1 or SEC1, plain or encrypted. */
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly passphrase?: string | undefined;
  /** If given, a certificate that is not valid at this time (UTC epoch ms) is refused. */
  readonly now?: number | undefined;
}

const generate = promisify(generateKeyPair);

/** A new RSA key with its self-signed certificate, both as PEM; the key as plain PKCS#8. */
export async function createIdentity(options: CertificateOptions): Promise<{ keyPem: string; certificatePem: string }> {
  // Before the key, which takes a second.
  options.hosts.forEach(altName);
  const keyPem = await createKey();
  return { keyPem, certificatePem: await createCertificate({ keyPem }, options) };
}

/** A new RSA key as plain PKCS#8, PEM. */
export async function createKey(): Promise<string> {
  const { privateKey } = await generate('rsa', { modulusLength: identityLimits.rsaBits });
  return toPkcs8(privateKey);
}

/** A self-signed certificate of an RSA key, PEM. `configuration` for another kind of key. */
export async function createCertificate(
  { keyPem, passphrase }: { readonly keyPem: string; readonly passphrase?: string | undefined },
  { cloudId, hosts, now }: CertificateOptions,
): Promise<string> {
  const altNames = hosts.map(altName);
  const privateKey = readPrivateKey(keyPem, passphrase);
  if (inField('identity.key_file', () => algorithmOfKey(privateKey)) !== 'PS256')
    throw new AllianceError('configuration', {
      field: 'identity.certificate_file',
      details: 'There is no certificate; one is made by itself for an RSA key only, and this is another.',
      remedy: 'Make it with `openssl req -x509 -new -key KEY -subj /CN=CLOUD_ID -days 3650 -out CERTIFICATE`.',
    });
  return selfSigned({ privateKey, commonName: cloudId, altNames, now });
}

/** Reads and checks an identity. Errors are `configuration` with the field at fault, and never quote what they read. */
export function loadIdentity(options: LoadIdentityOptions): Identity {
  const privateKey = readPrivateKey(options.keyPem, options.passphrase);
  const algorithm = inField('identity.key_file', () => algorithmOfKey(privateKey));
  const facts = inField('identity.certificate_file', () => readCertificate(options.certificatePem));
  if (!facts.certificate.checkPrivateKey(privateKey))
    throw configuration('identity.certificate_file', 'The certificate belongs to another key.');
  checkDates(facts, options.now);
  const identity = {
    cloudId: options.cloudId,
    privateKey,
    certificate: facts.certificate,
    certificateDer: facts.der,
    certificatePem: options.certificatePem,
    algorithm,
    fingerprint: facts.fingerprint,
    notBefore: facts.notBefore,
    notAfter: facts.notAfter,
  };
  return Object.defineProperty(identity, 'keyPem', { value: toPkcs8(privateKey), enumerable: false }) as Identity;
}

/** The same key as PKCS#8 under a passphrase (AES-256-CBC). */
export function encryptKey(keyPem: string, passphrase: string): string {
  if (passphrase === '') throw configuration('identity.passphrase', 'The passphrase is empty.');
  const key = readPrivateKey(keyPem, undefined);
  return key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }) as string;
}

const toPkcs8 = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;

const configuration = (field: string, details: string): AllianceError =>
  new AllianceError('configuration', { field, details });

function readPrivateKey(keyPem: string, passphrase: string | undefined): KeyObject {
  if (keyPem.length > fileLimits.pemBytes)
    throw configuration('identity.key_file', `The key file is larger than ${fileLimits.pemBytes} bytes.`);
  try {
    return createPrivateKey(passphrase === undefined ? keyPem : { key: keyPem, format: 'pem', passphrase });
  } catch {
    // Neither message nor cause goes on: both belong to whatever the file held, and OpenSSL's codes change between versions.
    if (!keyPem.includes('ENCRYPTED'))
      throw configuration('identity.key_file', 'There is no private key in PEM form in the key file.');
    throw configuration(
      'identity.passphrase',
      passphrase === undefined
        ? 'The key is encrypted and there is no passphrase.'
        : 'The passphrase does not open the key, or the key file is damaged.',
    );
  }
}

/** Errors of a reader as `configuration` errors about a file of ours. */
function inField<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof AllianceError) throw configuration(field, error.details ?? error.message);
    throw error;
  }
}

function checkDates(facts: CertificateFacts, now: number | undefined): void {
  if (now === undefined) return;
  const at = (ms: number): string => new Date(ms).toISOString();
  if (now < facts.notBefore)
    throw configuration('identity.certificate_file', `The certificate is not valid before ${at(facts.notBefore)}.`);
  if (now >= facts.notAfter)
    throw configuration('identity.certificate_file', `The certificate expired at ${at(facts.notAfter)}.`);
}
