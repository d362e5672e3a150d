/** What the command line of `npm run bench` says. */
import { parseArgs } from 'node:util';

export const groupNames = ['rpc', 'tokens', 'images'] as const;
export type GroupName = (typeof groupNames)[number];

export interface Options {
  readonly groups: readonly GroupName[];
  /** Last line of the output is one flat JSON object; else a table. */
  readonly json: boolean;
  /** Times that each figure is measured; the median counts. */
  readonly rounds: number;
}

const defaultRounds = 7;
const fewestRounds = 5;

const isGroupName = (name: string): name is GroupName => (groupNames as readonly string[]).includes(name);

/** Throws an Error with one line for the user. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: { only: { type: 'string', multiple: true }, json: { type: 'boolean' }, rounds: { type: 'string' } },
  });
  const groups = (values.only ?? groupNames).map((name) => {
    if (isGroupName(name)) return name;
    throw new Error(`--only ${name}: no such group; there is ${groupNames.join(', ')}.`);
  });
  const rounds = Number(values.rounds ?? defaultRounds);
  if (!Number.isInteger(rounds) || rounds < fewestRounds)
    throw new Error(`--rounds must be a whole number, at least ${fewestRounds}.`);
  return { groups, json: values.json ?? false, rounds };
}
