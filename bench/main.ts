/** `npm run bench [-- --only rpc|tokens|images] [-- --json] [-- --rounds N]`: ours and the peers in turn, on this machine. See docs/performance.md. */
import { cpus } from 'node:os';
import { runImages } from './images.ts';
import { parseOptions } from './options.ts';
import { type Figure, isMet, toJson, toTable } from './report.ts';
import { runRpc } from './rpc.ts';
import { runTokens } from './tokens.ts';

const groups = { rpc: runRpc, tokens: runTokens, images: runImages } as const;
const say = (line: string): void => console.error(line);

async function run(args: readonly string[]): Promise<boolean> {
  const { groups: wanted, json, rounds } = parseOptions(args);
  say(`${cpus().length} cores, Node ${process.versions.node}, ${rounds} rounds`);
  const figures: Figure[] = [];
  for (const group of wanted) figures.push(...(await groups[group](rounds, say)));
  console.log(toTable(figures));
  if (json) console.log(toJson(figures));
  return figures.every(isMet);
}

try {
  if (!(await run(process.argv.slice(2)))) say('Some figures are short of what is asked.');
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
