/** Identities for tests: of P-256 or Ed25519 made in a millisecond, of RSA-3072 made once per process. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { CloudId } from '../../src/core/ids.ts';
import { type Identity, loadIdentity } from '../../src/crypto/identity.ts';
import { makeCertificate, toPem } from './certificate.ts';

export type KeyKind = 'RSA-3072' | 'P-256' | 'Ed25519';

let rsaKey: KeyObject | undefined;

/** The RSA key is one and the same for all callers; those of the other kinds are new each time. */
export function makeKey(kind: KeyKind): KeyObject {
  if (kind === 'P-256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519').privateKey;
  rsaKey ??= generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey;
  return rsaKey;
}

export function makeIdentity(cloudId: string, kind: KeyKind = 'P-256', notBefore = Date.now() - 60_000): Identity {
  const privateKey = makeKey(kind);
  const certificatePem = toPem(makeCertificate({ privateKey, commonNames: [cloudId], notBefore }));
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return loadIdentity({ cloudId: cloudId as CloudId, keyPem, certificatePem });
}
