/** What we read off an X.509 certificate. A chain proves nothing here: the key's fingerprint is what gets pinned. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { AllianceError } from '../core/errors.ts';
import { type CloudId, isCloudId } from '../core/ids.ts';
import { fileLimits, identityLimits, signatureLimits } from '../core/limits.ts';
import { sha256 } from './bytes.ts';
import type { SignatureAlgorithm } from './jws.ts';

export interface CertificateFacts {
  readonly certificate: X509Certificate;
  readonly der: Buffer;
  /** SHA-256 of the SubjectPublicKeyInfo, 32 bytes. */
  readonly fingerprint: Buffer;
  /** The one algorithm that this key signs with. */
  readonly algorithm: SignatureAlgorithm;
  /** The common name, where it is a cloud_id. A claim like any other: nothing but the pin says whose key it is. */
  readonly cloudId: CloudId | null;
  /** UTC epoch ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** SubjectPublicKeyInfo with an uncompressed point; OpenSSL exports a compressed one as it came. */
const p256SpkiBytes = 91;

const refuse = (details: string): never => {
  throw new AllianceError('bad_request', { field: 'certificate', details });
};

/** Reads one certificate: DER, or the first of a PEM text. Keys other than RSA >= 3072, P-256 and Ed25519 are refused. */
export function readCertificate(derOrPem: Buffer | string): CertificateFacts {
  const certificate = parse(derOrPem);
  const der = certificate.raw;
  if (der.length > identityLimits.certificateBytes)
    refuse(`The certificate is larger than ${identityLimits.certificateBytes} bytes.`);
  if (Buffer.isBuffer(derOrPem) && !isPem(derOrPem) && !derOrPem.equals(der))
    refuse('There are bytes after the certificate.');
  const notBefore = Date.parse(certificate.validFrom);
  const notAfter = Date.parse(certificate.validTo);
  // Negated, so that a date that cannot be read (NaN) is refused too.
  if (!(notBefore < notAfter)) refuse('The certificate ends before it begins.');
  const key = publicKeyOf(certificate);
  const algorithm = algorithmOfKey(key);
  const spki = key.export({ type: 'spki', format: 'der' });
  // Another encoding of the same key (absent parameters, a compressed point) would give one key two fingerprints.
  if (!der.includes(spki) || (algorithm === 'ES256' && spki.length !== p256SpkiBytes))
    refuse('The key of the certificate has an unusual encoding.');
  return {
    certificate,
    der,
    fingerprint: sha256(spki),
    algorithm,
    cloudId: cloudIdOf(certificate),
    notBefore,
    notAfter,
  };
}

/** The fingerprint of the leaf that a TLS peer shows (`getPeerCertificate().raw`). Throws if it is no certificate we accept. */
export function fingerprintOfPeer(rawDer: Buffer): Buffer {
  return readCertificate(rawDer).fingerprint;
}

/** `SHA256:AB:CD:...`, for people to compare; the same bytes as `openssl pkey -pubin -outform der | sha256sum`. */
export function formatFingerprint(fingerprint: Buffer): string {
  return `SHA256:${fingerprint.toString('hex').toUpperCase().match(/../g)!.join(':')}`;
}

/** The algorithm pinned to a kind of key; throws for kinds and sizes that we do not take. Private keys have the same details. */
export function algorithmOfKey(key: KeyObject): SignatureAlgorithm {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return rsaAlgorithm(details?.modulusLength ?? 0, details?.publicExponent ?? 0n);
    case 'ec':
      return details?.namedCurve === 'prime256v1' ? 'ES256' : refuse('An elliptic curve key must be P-256.');
    case 'ed25519':
      return 'EdDSA';
    default:
      return refuse('The key must be RSA, P-256 or Ed25519.');
  }
}

function rsaAlgorithm(bits: number, exponent: bigint): SignatureAlgorithm {
  if (bits < identityLimits.rsaBits || bits > signatureLimits.rsaBits)
    refuse(`An RSA key must have ${identityLimits.rsaBits} to ${signatureLimits.rsaBits} bits; this one has ${bits}.`);
  // A small exponent is weak, a large one makes every verification as dear as a signature.
  if (exponent < 65537n || exponent > 0xffffffffn) refuse('The exponent of the RSA key must be 65537 to 2^32.');
  return 'PS256';
}

const isPem = (bytes: Buffer): boolean => bytes[0] !== 0x30;

function parse(derOrPem: Buffer | string): X509Certificate {
  if (derOrPem.length > fileLimits.pemBytes) refuse(`The certificate is larger than ${fileLimits.pemBytes} bytes.`);
  try {
    return new X509Certificate(derOrPem);
  } catch (cause) {
    throw new AllianceError('bad_request', { field: 'certificate', details: 'This is no X.509 certificate.', cause });
  }
}

function publicKeyOf(certificate: X509Certificate): KeyObject {
  try {
    return certificate.publicKey;
  } catch {
    return refuse('The key of the certificate cannot be read.');
  }
}

function cloudIdOf(certificate: X509Certificate): CloudId | null {
  // Node writes one attribute a line and escapes line breaks within values.
  const subject: string | undefined = certificate.subject; // absent where the name is empty, whatever the types say
  const names = (subject ?? '').split('\n').filter((line) => line.startsWith('CN='));
  const name = names.length === 1 ? names[0]!.slice(3) : '';
  return isCloudId(name) ? name : null;
}
