/** Where a broker lives when nobody says: `ALLIANCE_HOME`, else the place that the XDG base directories give to programs' data. */
import { homedir } from 'node:os';
import { join } from 'node:path';

export function defaultHome(env: Readonly<Record<string, string | undefined>>): string {
  if (env.ALLIANCE_HOME) return env.ALLIANCE_HOME;
  return join(env.HOME || homedir(), '.local', 'share', 'alliance');
}
