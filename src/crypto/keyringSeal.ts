/**
 * Sealing of columns at rest. Sealed form: version (1) || key id (u32) || nonce (12) || ciphertext || tag (16), AES-256-GCM.
 * What a value belongs to (table, row, column, partner) is bound as AAD, so that no one who can write the database can move a
 * sealed value elsewhere. Nonces are random: one key is good for 2^32 values, far beyond what a broker stores.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AllianceError } from '../core/errors.ts';
import { hmacSha256, kdf, lengthPrefixed } from './bytes.ts';

/** Ids are whole numbers from 1 to 2^32 - 1; keys have 32 bytes. */
export type KeyringKeys = ReadonlyMap<number, Buffer>;

const version = 1;
const headerBytes = 5;
const nonceBytes = 12;
const tagBytes = 16;
const overheadBytes = headerBytes + nonceBytes + tagBytes;
const cipherOptions = { authTagLength: tagBytes };

export class Keyring {
  /** Id of the key that seals; the others only open. */
  readonly current: number;
  readonly #keys: KeyringKeys;
  readonly #hashKeys = new Map<string, Buffer>();

  constructor(current: number, keys: KeyringKeys) {
    for (const [id, key] of keys)
      if (key.length !== 32 || !Number.isInteger(id) || id < 1 || id > 0xffff_ffff)
        throw new RangeError('A keyring has ids from 1 to 2^32 - 1 and keys of 32 bytes.');
    if (!keys.has(current)) throw new RangeError('The current key is not in the keyring.');
    this.current = current;
    this.#keys = keys;
  }

  seal(plaintext: Buffer, aad: readonly string[]): Buffer {
    const header = Buffer.alloc(headerBytes);
    header[0] = version;
    header.writeUInt32BE(this.current, 1);
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#keys.get(this.current)!, nonce, cipherOptions);
    cipher.setAAD(bind(header, aad));
    const ciphertext = [cipher.update(plaintext), cipher.final()];
    return Buffer.concat([header, nonce, ...ciphertext, cipher.getAuthTag()]);
  }

  /** Throws `seal_broken` for whatever is wrong: another key, another place, altered bytes. */
  open(sealed: Buffer, aad: readonly string[]): Buffer {
    const key = this.#keys.get(keyIdOf(sealed));
    if (!key) throw new AllianceError('seal_broken', { details: 'The key that sealed it is not in the keyring.' });
    const tagStart = sealed.length - tagBytes;
    const bodyStart = headerBytes + nonceBytes;
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(headerBytes, bodyStart), cipherOptions);
      decipher.setAAD(bind(sealed.subarray(0, headerBytes), aad));
      decipher.setAuthTag(sealed.subarray(tagStart));
      return Buffer.concat([decipher.update(sealed.subarray(bodyStart, tagStart)), decipher.final()]);
    } catch (cause) {
      throw new AllianceError('seal_broken', { cause });
    }
  }

  /** Keyed hash, 32 bytes, under a subkey of its own per purpose. It changes when the current key does: for caches only. */
  hash(purpose: string, data: Uint8Array | string): Buffer {
    let key = this.#hashKeys.get(purpose);
    if (!key) {
      key = kdf(this.#keys.get(this.current)!, '', `alliance/1 hash ${purpose}`, 32);
      this.#hashKeys.set(purpose, key);
    }
    return hmacSha256(key, data);
  }
}

function keyIdOf(sealed: Buffer): number {
  if (sealed.length < overheadBytes || sealed[0] !== version)
    throw new AllianceError('seal_broken', { details: 'This is no sealed value.' });
  return sealed.readUInt32BE(1);
}

function bind(header: Buffer, aad: readonly string[]): Buffer {
  return Buffer.concat([header, ...aad.map(lengthPrefixed)]);
}
