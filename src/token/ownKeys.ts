/** Keys that this cloud's Keystone signs its JWS tokens with, as their files are now: what partners are told to recognise them by. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, monotonic } from '../core/clock.ts';
import { errnoOf } from '../core/errno.ts';
import { toAllianceError } from '../core/errors.ts';
import { tokenKeyLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import { readTokenKey, type TokenKey } from '../crypto/tokenKey.ts';

interface Look {
  readonly keys: readonly TokenKey[];
  /** What was left out, and why. */
  readonly problems: readonly string[];
}

export interface OwnTokenKeysOptions {
  /** Directory of PEM files; undefined where this cloud publishes none. */
  readonly directory: () => string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export class OwnTokenKeys {
  readonly #options: OwnTokenKeysOptions;
  #read: Promise<readonly TokenKey[]> | undefined;
  #readFrom: string | undefined;
  #readAt = 0;
  #told = '';

  constructor(options: OwnTokenKeysOptions) {
    this.#options = options;
  }

  /** As they were a few seconds ago at most. What cannot be read is logged and left out; never rejects. */
  list(): Promise<readonly TokenKey[]> {
    const directory = this.#options.directory();
    const now = monotonic(this.#options.clock);
    if (!this.#read || directory !== this.#readFrom || now - this.#readAt > tokenKeyLimits.readMs) {
      this.#readFrom = directory;
      this.#readAt = now;
      this.#read = this.#look(directory);
    }
    return this.#read;
  }

  async #look(directory: string | undefined): Promise<readonly TokenKey[]> {
    if (directory === undefined) return [];
    const { keys, problems } = await readTokenKeys(directory);
    // Once, until it is another complaint.
    const text = problems.join('\n');
    if (text !== this.#told && problems.length > 0)
      this.#options.log.warn({ directory, problems }, 'Some of tokens.jws_keys is not published.');
    this.#told = text;
    return keys;
  }
}

/** The public keys of a directory, by name of their files; names that begin with a dot are left alone. */
export async function readTokenKeys(directory: string): Promise<Look> {
  const keys = new Map<string, TokenKey>();
  const problems: string[] = [];
  let names: string[] = [];
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    names = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  } catch (error) {
    problems.push(`${directory}: ${errnoOf(error)}`);
  }
  for (const name of names.sort().slice(0, tokenKeyLimits.files)) {
    try {
      const key = readTokenKey(await readFile(join(directory, name), 'utf8'));
      keys.set(key.thumbprint.toString('hex'), key);
    } catch (error) {
      const { details } = toAllianceError(error);
      problems.push(`${name}: ${details ?? errnoOf(error)}`);
    }
  }
  if (keys.size > tokenKeyLimits.keys) problems.push(`More than ${tokenKeyLimits.keys} keys.`);
  return { keys: [...keys.values()].slice(0, tokenKeyLimits.keys), problems };
}
