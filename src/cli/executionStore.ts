/** Where executions are found: in the database of the broker here, else in that of syncs without one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openImageState } from '../broker/imageState.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { configFileName } from '../core/configFile.ts';
import { AllianceError } from '../core/errors.ts';
import { syncLimits } from '../core/limits.ts';
import type { Execution } from '../model/execution.ts';
import type { Store } from '../model/store.ts';
import type { Cli } from './cli.ts';
import { usageError } from './failure.ts';

export interface Found {
  readonly store: Store;
  readonly clock: Clock;
}

/** Whether there is a broker here, or somebody says so: then its database counts. */
export const hasHome = (cli: Cli): boolean =>
  cli.namesHome || existsSync(join(cli.home, configFileName)) || cli.env.ALLIANCE_CLOUD_ID !== undefined;

export async function withExecutions<T>(cli: Cli, work: (found: Found) => Promise<T>): Promise<T> {
  const look = async (found: Found): Promise<T> => {
    // What died without a word is told as that.
    await found.store.executions.endBroken(found.clock.now());
    return work(found);
  };
  if (hasHome(cli)) return cli.open((installation) => look(installation));
  const clock = systemClock;
  const store = await openImageState(cli.world.env, clock);
  try {
    return await look({ store, clock });
  } finally {
    await store.close();
  }
}

const shortest = 4;

/** By its id, or the beginning of it. @throws AllianceError usage */
export async function findExecution({ store: { executions } }: Pick<Found, 'store'>, word: string): Promise<Execution> {
  const exact = await executions.get(word);
  if (exact) return exact;
  const all = word.length < shortest ? [] : await executions.list({ limit: syncLimits.executions });
  const [found, other] = all.filter(({ id }) => id.startsWith(word));
  if (other) throw usageError(`There are several executions that begin with "${word}".`, 'execution');
  if (!found)
    throw new AllianceError('usage', {
      field: 'execution',
      details: `There is no execution "${word}".`,
      remedy: 'See `alliance execution list`; the beginning of an id will do, 4 characters or more.',
    });
  return found;
}
