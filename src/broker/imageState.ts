/** Where a sync remembers what it does when there is no broker here: a database in the user's directory for state. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { makeDirectory } from '../core/wholeFile.ts';
import { createKeyringFile, loadKeyring } from '../crypto/keyring.ts';
import { openStore, type Store } from '../model/store.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** `$XDG_STATE_HOME/alliance`, else `~/.local/state/alliance`. */
const imageStateDirectory = (env: Environment): string =>
  join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'alliance');

/** For the caller to close. @throws AllianceError file_not_written, and those of the database */
export async function openImageState(env: Environment, clock: Clock): Promise<Store> {
  const directory = imageStateDirectory(env);
  const kek = join(directory, 'images.kek');
  try {
    makeDirectory(directory);
    createKeyringFile(kek);
  } catch (cause) {
    throw new AllianceError('file_not_written', {
      field: 'XDG_STATE_HOME',
      cause,
      details: `${directory} (${cause instanceof AllianceError ? cause.details : errnoOf(cause)}).`,
    });
  }
  return openStore({ url: `sqlite:${join(directory, 'images.db')}`, keyring: loadKeyring(kek), clock });
}
