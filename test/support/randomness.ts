/** Chosen randomness: what node:crypto gives out while a function runs, so that protocol runs can be repeated byte for byte. */
import crypto, { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

const pkcs8Prefixes = { x25519: '302e020100300506032b656e04220420', ed25519: '302e020100300506032b657004220420' };

/** A private key of these 32 bytes. */
export function rawPrivateKey(type: 'x25519' | 'ed25519', bytes: Buffer): KeyObject {
  const der = Buffer.concat([Buffer.from(pkcs8Prefixes[type], 'hex'), bytes]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** `size` bytes that depend on the label only. */
export function labelled(label: string, size: number): Buffer {
  let bytes = Buffer.alloc(0);
  for (let i = 0; bytes.length < size; i++)
    bytes = Buffer.concat([bytes, createHash('sha256').update(`alliance test ${label} ${i}`).digest()]);
  return bytes.subarray(0, size);
}

export interface Drawn {
  /** What randomBytes gave, in order. */
  readonly bytes: Buffer[];
  /** Private keys of the X25519 pairs, raw, in order. */
  readonly x25519: Buffer[];
}

/** Runs `act` with random bytes and X25519 keys that follow from `label`; restores node:crypto afterwards. */
export async function withRandomness<T extends object>(
  label: string,
  act: () => T | Promise<T>,
): Promise<T & { drawn: Drawn }> {
  const { randomBytes, generateKeyPairSync } = crypto;
  const drawn: Drawn = { bytes: [], x25519: [] };
  const patched = crypto as unknown as Record<string, unknown>;
  patched.randomBytes = (size: number): Buffer => {
    drawn.bytes.push(labelled(`${label} bytes ${drawn.bytes.length}`, size));
    return Buffer.from(drawn.bytes.at(-1)!);
  };
  patched.generateKeyPairSync = (type: 'x25519') => {
    drawn.x25519.push(labelled(`${label} x25519 ${drawn.x25519.length}`, 32));
    const privateKey = rawPrivateKey(type, drawn.x25519.at(-1)!);
    return { privateKey, publicKey: createPublicKey(privateKey) };
  };
  syncBuiltinESMExports();
  try {
    return { ...(await act()), drawn };
  } finally {
    Object.assign(patched, { randomBytes, generateKeyPairSync });
    syncBuiltinESMExports();
  }
}
