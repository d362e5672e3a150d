/** `alliance execution list, show, logs, stop, approve, retry` */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { syncLimits } from '../core/limits.ts';
import type { Execution, ExecutionState } from '../model/execution.ts';
import { type Cli, exits } from './cli.ts';
import { type AgainOptions, again } from './executionAgain.ts';
import { type Found, findExecution, withExecutions } from './executionStore.ts';
import { detailLines, listLines, logLine, type Told, viewDetails, viewExecution, viewLine } from './executionView.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { parseCount } from './values.ts';

interface ListOptions {
  readonly state?: ExecutionState;
  readonly region?: string;
  readonly trigger?: string;
  readonly limit?: number;
}

const states = ['running', 'done', 'partly', 'failed', 'stopped'] as const satisfies readonly ExecutionState[];
const followMs = 500;
const listedByDefault = 20;

export function addExecution(program: Command, cli: Cli): void {
  const group = addGroup(program, 'execution', 'runs of syncs: what they did, and what became of it', 'execution list');
  addCommand(group, {
    usage: 'list',
    summary: 'list runs of syncs, the newest first',
    examples: [
      'execution list',
      'execution list --state failed --region Burgos',
      'execution list --trigger policy:nightly',
    ],
  })
    .addOption(new Option('--state <state>', 'only those in this state').choices(states))
    .option('--region <region>', 'only those that had this region among theirs')
    .option('--trigger <trigger>', 'only those begun by this: manual, rest, or policy:NAME')
    .option('--limit <n>', `at most so many (default: ${listedByDefault})`, parseCount)
    .action((options: ListOptions) => finish(cli, list(cli, options)));

  const one = (usage: string, summary: string, more?: string) =>
    addCommand(group, {
      usage,
      summary,
      ...(more && { more }),
      examples: [`execution ${usage.split(' ')[0]} 3f0c2b62`],
    });

  one('show <execution>', 'show one: its regions and images, and why what failed did').action((word: string) =>
    finish(cli, show(cli, word)),
  );
  one('logs <execution>', 'print what it told, line by line')
    .option('--follow', 'go on until it has ended')
    .action((word: string, { follow = false }: { follow?: boolean }) => finish(cli, logs(cli, word, follow)));
  one(
    'stop <execution>',
    'have one that runs end, wherever it runs',
    `What is on its way is taken back or left to the next run. The process that runs it looks every ${syncLimits.touchMs / 1000} seconds.`,
  ).action((word: string) => finish(cli, stop(cli, word)));
  const rules = `The configuration counts as it is now; where the first run had another than alliance.yaml, name it again.
Exit codes as those of \`alliance image sync\`.`;
  for (const [name, summary, more] of [
    ['approve', 'run again what a guard stopped, now that somebody has looked', 'See `alliance image plan` before.'],
    [
      'retry',
      'run again only what failed: those regions, and of them those images',
      'Without anything left, nothing runs.',
    ],
  ] as const)
    one(`${name} <execution>`, summary, `${more}\n${rules}`)
      .option('--glancesync-config <file>', 'configuration of GlanceSync that the run had')
      .option('--config <key=value...>', 'before what the configuration says; the execution comes before this')
      .option('--bwlimit <rate>', 'MiB per second, such as 50M, or "08:00,10M 19:00,off"')
      .action((word: string, options: AgainOptions) => finish(cli, again(cli, name, word, options)));
}

const told = async ({ store: { executions } }: Found, execution: Execution): Promise<Told> => ({
  execution,
  tasks: await executions.tasks(execution.id),
});

const list = (cli: Cli, { state, region, trigger, limit = listedByDefault }: ListOptions): Promise<undefined> =>
  withExecutions(cli, async (found) => {
    const executions = await found.store.executions.list({
      ...(state !== undefined && { states: [state] }),
      ...(region !== undefined && { region }),
      ...(trigger !== undefined && { trigger }),
      limit,
    });
    const all = await Promise.all(executions.map((execution) => told(found, execution)));
    cli.print({ executions: all.map(viewExecution) }, listLines(all, found.clock.now()));
    return undefined;
  });

const show = (cli: Cli, word: string): Promise<undefined> =>
  withExecutions(cli, async (found) => {
    const execution = await findExecution(found, word);
    const regions = await found.store.executions.regions(execution.id);
    const details = await told(found, execution);
    cli.print(viewDetails(details, regions), detailLines(details, regions, found.clock.now()));
    return undefined;
  });

const logs = (cli: Cli, word: string, follow: boolean): Promise<undefined> =>
  withExecutions(cli, async (found) => {
    const { id } = await findExecution(found, word);
    const { executions, executionLog } = found.store;
    for (let after = 0; ; ) {
      // Whether it runs is asked before the rest is read, so that nothing is left unread of one that has ended.
      const isRunning = (await executions.get(id))?.state === 'running';
      for (let page = await executionLog.read(id, after); page.length > 0; page = await executionLog.read(id, after)) {
        for (const line of page) cli.event(viewLine(line), logLine(line));
        after = page.at(-1)!.position;
      }
      if (!follow || !isRunning) return undefined;
      await delay(followMs);
    }
  });

const stop = (cli: Cli, word: string): Promise<number> =>
  withExecutions(cli, async (found) => {
    const { id } = await findExecution(found, word);
    const asked = await found.store.executions.askToStop(id);
    const state = (await found.store.executions.get(id))?.state ?? null;
    cli.print({ id, asked, state }, asked ? `execution ${id}: asked to stop` : `execution ${id} has ended: ${state}`);
    return asked ? exits.done : exits.partly;
  });
