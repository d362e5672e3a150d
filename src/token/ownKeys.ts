/**
 * Keys that this cloud's Keystone signs its JWS tokens with, as their files are now: what partners are told to recognise them by, and
 * what no partner may publish as its own.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readRegularFile, whyUnread } from '../core/boundedFile.ts';
import { type Clock, monotonic } from '../core/clock.ts';
import { toAllianceError } from '../core/errors.ts';
import { fileLimits, tokenKeyLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import { readTokenKey, type TokenKey } from '../crypto/tokenKey.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import { type OwnSigners, ownSigners } from './ownSigners.ts';

type Files = ReadonlyMap<string, TokenKey>;

interface Look {
  /** Keys by name of their file. */
  readonly files: Files;
  /** Each once, in the order of the names. */
  readonly keys: readonly TokenKey[];
  /** What was left out, and why. */
  readonly problems: readonly string[];
}

const nothing: Look = { files: new Map(), keys: [], problems: [] };

export interface OwnTokenKeysOptions {
  /** Directory of PEM files; undefined where this cloud publishes none. */
  readonly directory: () => string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export class OwnTokenKeys {
  readonly #options: OwnTokenKeysOptions;
  #read: Promise<Look> | undefined;
  #readFrom: string | undefined;
  #readAt = 0;
  #told = '';
  #last: Look = nothing;
  #keystone: Pick<Keystone, 'heldToken'> | undefined;
  #signers: { readonly of: Look; readonly token: string | undefined; readonly found: OwnSigners } | undefined;

  constructor(options: OwnTokenKeysOptions) {
    this.#options = options;
  }

  /** The broker's own token shows which keys sign this cloud's tokens, whatever is configured. */
  watch(keystone: Pick<Keystone, 'heldToken'>): void {
    this.#keystone = keystone;
  }

  /** Those to publish, as they were a few seconds ago at most. What cannot be read is logged, and left as it was; never rejects. */
  async list(): Promise<readonly TokenKey[]> {
    const directory = this.#options.directory();
    const now = monotonic(this.#options.clock);
    if (!this.#read || directory !== this.#readFrom || now - this.#readAt > tokenKeyLimits.readMs) {
      const before = directory === this.#readFrom ? this.#last : nothing;
      this.#readFrom = directory;
      this.#readAt = now;
      this.#read = this.#look(directory, before);
    }
    const { keys } = await this.#read;
    return keys.slice(0, tokenKeyLimits.usedPerPartner);
  }

  /** As of the last look at the files and the broker's last login; the same object as long as neither has changed. */
  get signers(): OwnSigners {
    // While the broker logs in again, its last token shows the same.
    const token = this.#keystone?.heldToken() ?? this.#signers?.token;
    const of = this.#last;
    if (this.#signers?.of !== of || this.#signers.token !== token) {
      const found = ownSigners({ token, keys: of.keys, complete: of.problems.length === 0 });
      this.#signers = { of, token, found };
    }
    return this.#signers.found;
  }

  async #look(directory: string | undefined, before: Look): Promise<Look> {
    const look = directory === undefined ? nothing : await readTokenKeys(directory, before.files);
    if (directory !== undefined) this.#tell(directory, look);
    // A look at a directory that is no longer configured comes too late.
    if (directory === this.#readFrom && !isSame(look, this.#last)) this.#last = look;
    return look;
  }

  #tell(directory: string, { keys, problems }: Look): void {
    const { usedPerPartner } = tokenKeyLimits;
    const all = keys.length > usedPerPartner ? [...problems, `More than ${usedPerPartner} keys.`] : problems;
    // Once, until it is another complaint.
    const text = all.join('\n');
    if (text !== this.#told && all.length > 0)
      this.#options.log.warn({ directory, problems: all }, 'Some of tokens.jws_keys is not published.');
    this.#told = text;
  }
}

const isSame = (one: Look, other: Look): boolean => {
  const textOf = ({ keys, problems }: Look) => [
    ...keys.map(({ thumbprint }) => thumbprint.toString('hex')),
    ...problems,
  ];
  return textOf(one).join() === textOf(other).join();
};

/**
 * The public keys of a directory, by name of their files; names that begin with a dot are left alone. A key that cannot be read now
 * stays as it was `before`: what is a key of this cloud does not become a partner's by that.
 */
export async function readTokenKeys(directory: string, before: Files = new Map()): Promise<Look> {
  const files = new Map<string, TokenKey>();
  const problems: string[] = [];
  let names: string[] = [];
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    names = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  } catch (error) {
    return { ...lookOf(before), problems: [`${directory}: ${whyUnread(error)}`] };
  }
  for (const name of names.sort().slice(0, tokenKeyLimits.files)) {
    try {
      files.set(name, readTokenKey(readRegularFile(join(directory, name), fileLimits.pemBytes).text));
    } catch (error) {
      const { details } = toAllianceError(error);
      problems.push(`${name}: ${details ?? whyUnread(error)}`);
      const last = before.get(name);
      if (last) files.set(name, last);
    }
  }
  if (names.length > tokenKeyLimits.files) problems.push(`More than ${tokenKeyLimits.files} files.`);
  return { ...lookOf(files), problems };
}

function lookOf(files: Files): Omit<Look, 'problems'> {
  const keys = new Map([...files.values()].map((key) => [key.thumbprint.toString('hex'), key]));
  return { files, keys: [...keys.values()] };
}
