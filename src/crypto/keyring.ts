/**
 * The file of the key-encryption keys: `{"current": 2, "keys": {"1": base64url, "2": base64url}}`, mode 0600. It is written
 * whole or not at all, as a lost key-encryption key means lost sessions and invitations.
 */
import { randomBytes } from 'node:crypto';
import { readRegularFile, whyUnread } from '../core/boundedFile.ts';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { fileLimits } from '../core/limits.ts';
import { createWhole } from '../core/wholeFile.ts';
import { fromBase64url, toBase64url } from './bytes.ts';
import { Keyring, type KeyringKeys } from './keyringSeal.ts';

export { Keyring };

const field = 'database.kek_file';

const configuration = (details: string): AllianceError => new AllianceError('configuration', { field, details });

/** Reads the keyring; refuses a file that anyone but its owner can touch. */
export function loadKeyring(path: string): Keyring {
  const { current, keys } = read(path);
  return new Keyring(current, keys);
}

/** Creates the file with one new key; false when there is one already. */
export function createKeyringFile(path: string): boolean {
  const content = { current: 1, keys: { 1: toBase64url(randomBytes(32)) } };
  try {
    return createWhole(path, `${JSON.stringify(content, null, 2)}\n`, 0o600);
  } catch (error) {
    throw configuration(`${path} cannot be written (${errnoOf(error)}).`);
  }
}

function read(path: string): { current: number; keys: KeyringKeys } {
  let file: ReturnType<typeof readRegularFile>;
  try {
    file = readRegularFile(path, fileLimits.pemBytes);
  } catch (error) {
    throw configuration(`${path} cannot be read (${whyUnread(error)}).`);
  }
  if (file.mode & 0o077)
    throw configuration(`Others than its owner have access to ${path}: run \`chmod 600 ${path}\`.`);
  return parse(path, file.text);
}

function parse(path: string, text: string): { current: number; keys: KeyringKeys } {
  try {
    const { current, keys: texts } = JSON.parse(text) as { current: unknown; keys: Record<string, unknown> };
    const keys = new Map(Object.entries(texts).map(([id, key]) => [idOf(id), keyOf(key)] as const));
    if (typeof current !== 'number' || !keys.has(current)) throw new Error('current');
    return { current, keys };
  } catch {
    // Whatever the parser says may quote a key.
    throw configuration(`${path} is no keyring: restore it from where you keep it safe.`);
  }
}

function idOf(text: string): number {
  const id = Number(text);
  if (!/^[1-9][0-9]{0,9}$/.test(text) || id > 0xffff_ffff) throw new Error('id');
  return id;
}

function keyOf(text: unknown): Buffer {
  const key = typeof text === 'string' ? fromBase64url(text) : Buffer.alloc(0);
  if (key.length !== 32) throw new Error('key');
  return key;
}
