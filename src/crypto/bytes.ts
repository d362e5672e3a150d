/** The notation of docs/protocol.md: `L(x)`, `H`, `HMAC`, `KDF`, and the strict base64url of its texts. */
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { AllianceError } from '../core/errors.ts';

/** Bytes, or text that stands for its UTF-8 bytes. */
type Bytes = Uint8Array | string;

const toBuffer = (x: Bytes): Buffer =>
  typeof x === 'string' ? Buffer.from(x, 'utf8') : Buffer.from(x.buffer, x.byteOffset, x.byteLength);

/** `L(x)`: u32 big-endian length, then x. It keeps neighbours in a hash from running into each other. */
export function lengthPrefixed(x: Bytes): Buffer {
  const body = toBuffer(x);
  const prefixed = Buffer.allocUnsafe(4 + body.length);
  prefixed.writeUInt32BE(body.length, 0);
  body.copy(prefixed, 4);
  return prefixed;
}

/** A whole number, 0 to 2^64 - 1, as 8 bytes big-endian. A number beyond 2^53 has lost its value already and is refused. */
export function u64(n: number | bigint): Buffer {
  if (typeof n === 'number' && !Number.isSafeInteger(n)) throw new RangeError('u64 takes safe integers and bigints');
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(n));
  return bytes;
}

/** SHA-256 over the parts one after the other, 32 bytes. */
export function sha256(...parts: Bytes[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** HMAC-SHA-256 over the parts one after the other, 32 bytes. */
export function hmacSha256(key: Uint8Array, ...parts: Bytes[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** HKDF-SHA-256 (RFC 5869), extract and expand; `n` bytes, at most 255 * 32. */
export function kdf(ikm: Uint8Array, salt: Bytes, info: Bytes, n: number): Buffer {
  return Buffer.from(hkdfSync('sha256', ikm, salt, info, n));
}

/** Whether two byte strings are the same, in a time that tells nothing about where they differ. Lengths are no secret. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

export function toBase64url(bytes: Uint8Array): string {
  return toBuffer(bytes).toString('base64url');
}

/**
 * Decodes base64url without padding (RFC 4648, 5) and takes exactly one spelling of each value: Node's decoder skips foreign
 * characters and ignores trailing bits, which would let one ticket have many texts.
 */
export function fromBase64url(text: string, field = 'base64url'): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text)
    throw new AllianceError('bad_request', { field, details: `${field} is no canonical base64url.` });
  return bytes;
}
