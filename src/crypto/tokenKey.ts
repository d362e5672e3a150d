/** Public keys of Keystone's JWS tokens: ES256, ES384, ES512 (RFC 7518) and EdDSA (RFC 8037). */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { AllianceError } from '../core/errors.ts';
import { fileLimits, tokenKeyLimits } from '../core/limits.ts';
import { sha256 } from './bytes.ts';

export type TokenAlgorithm = 'ES256' | 'ES384' | 'ES512' | 'EdDSA';

export interface TokenKey {
  readonly algorithm: TokenAlgorithm;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** SHA-256 of that, 32 bytes. */
  readonly thumbprint: Buffer;
  readonly key: KeyObject;
}

interface Kind {
  readonly algorithm: TokenAlgorithm;
  /** The one length of the one encoding that is taken: a second one would give a key a second thumbprint. */
  readonly spkiBytes: number;
  readonly hash: string | null;
}

/** By curve, or by type where the type is the curve. */
const kinds: ReadonlyMap<string, Kind> = new Map([
  ['prime256v1', { algorithm: 'ES256', spkiBytes: 91, hash: 'sha256' }],
  ['secp384r1', { algorithm: 'ES384', spkiBytes: 120, hash: 'sha384' }],
  ['secp521r1', { algorithm: 'ES512', spkiBytes: 158, hash: 'sha512' }],
  ['ed25519', { algorithm: 'EdDSA', spkiBytes: 44, hash: null }],
  ['ed448', { algorithm: 'EdDSA', spkiBytes: 69, hash: null }],
]);

const kindOf = ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Kind | undefined =>
  kinds.get(asymmetricKeyDetails?.namedCurve ?? asymmetricKeyType ?? '');

const refuse = (details: string): never => {
  throw new AllianceError('bad_request', { field: 'token_keys', details });
};

/** Reads a public key: SubjectPublicKeyInfo as DER, or as PEM text. Throws `bad_request` for any other. */
export function readTokenKey(derOrPem: Buffer | string): TokenKey {
  const key = parse(derOrPem);
  const kind = kindOf(key);
  if (!kind) return refuse('The key must be of P-256, P-384, P-521, Ed25519 or Ed448.');
  const spki = key.export({ type: 'spki', format: 'der' });
  const asGiven = typeof derOrPem === 'string' || spki.equals(derOrPem);
  if (spki.length !== kind.spkiBytes || !asGiven) return refuse('The key has an unusual encoding.');
  return { algorithm: kind.algorithm, spki, thumbprint: sha256(spki), key };
}

function parse(derOrPem: Buffer | string): KeyObject {
  const limit = typeof derOrPem === 'string' ? fileLimits.pemBytes : tokenKeyLimits.spkiBytes;
  if (derOrPem.length > limit) return refuse(`The key is larger than ${limit} bytes.`);
  // Node would take a private key for its public half, and nobody wants that file where public keys are.
  if (typeof derOrPem === 'string' && !derOrPem.includes('BEGIN PUBLIC KEY')) return refuse('This is no public key.');
  try {
    return typeof derOrPem === 'string'
      ? createPublicKey(derOrPem)
      : createPublicKey({ key: derOrPem, format: 'der', type: 'spki' });
  } catch (cause) {
    throw new AllianceError('bad_request', { field: 'token_keys', details: 'This is no public key.', cause });
  }
}

/** Whether the signature, as JWS has it (both numbers of ECDSA one after the other), is that key's. */
export function isSignedBy(key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean {
  const hash = kindOf(key)?.hash;
  if (hash === undefined) return false;
  return verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
}
