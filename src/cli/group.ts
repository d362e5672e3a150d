/** Commands with an example in their help. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';

interface Description {
  /** Name and arguments, as commander reads them: `show <partner>`. */
  readonly usage: string;
  readonly summary: string;
  /** More lines for its own help. */
  readonly more?: string;
  readonly examples: readonly string[];
}

/** Adds a command; its action is set by `.action(act(cli, ...))`. */
export function addCommand(parent: Command, { usage, summary, more, examples }: Description): Command {
  const help = `\nExamples:\n${examples.map((example) => `  $ alliance ${example}`).join('\n')}`;
  return parent
    .command(usage)
    .summary(summary)
    .description(more === undefined ? summary : `${summary}\n\n${more}`)
    .addHelpText('after', help)
    .allowExcessArguments(false);
}

/** A command that only holds others. */
export function addGroup(parent: Command, name: string, summary: string, example: string): Command {
  return parent.command(name).description(summary).addHelpText('after', `\nExamples:\n  $ alliance ${example}`);
}

/** What an action returns is the exit code; nothing means that it is done. */
export const finish = async (cli: Cli, work: Promise<number | undefined>): Promise<void> => {
  cli.exitCode = (await work) ?? cli.exitCode;
};
