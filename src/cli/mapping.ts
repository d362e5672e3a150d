/** `alliance mapping set, show, test, diff` */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import type { Partner } from '../model/partner.ts';
import { readMapping } from '../token/mapping/mapping.ts';
import { type Cli, shown } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { readInput } from './input.ts';
import { addMappingDiff } from './mappingDiff.ts';
import { addMappingTest } from './mappingTest.ts';
import { formatTime, isoTime, jsonText } from './text.ts';

interface SetOptions {
  readonly partner: string;
  readonly none?: boolean;
}

export function addMapping(program: Command, cli: Cli): void {
  const group = addGroup(
    program,
    'mapping',
    "what users of partner clouds are and may do here, by rules in Keystone's mapping language",
    'mapping set rules.json --partner east',
  );
  addCommand(group, {
    usage: 'set [file]',
    summary: "set the mapping of a partner's users; counts from the next answer on",
    more: `The rules come from a file, or from standard input (-), as a list or as {"rules": [...]}. Nothing is stored if they
have an error. --none takes the mapping away: then nobody of that partner has access.`,
    examples: ['mapping set rules.json --partner east', 'mapping set --none --partner east'],
  })
    .requiredOption('--partner <partner>', 'whose users the mapping is for')
    .option('--none', 'take the mapping away')
    .action((file: string | undefined, options: SetOptions) => finish(cli, set(cli, file, options)));

  addCommand(group, {
    usage: 'show',
    summary: "show the mapping of a partner's users, as it was set",
    examples: ['mapping show --partner east', 'mapping show --partner east --json'],
  })
    .requiredOption('--partner <partner>', 'whose users the mapping is for')
    .action((options: { partner: string }) =>
      finish(
        cli,
        cli.withPartner(options.partner, (partner, { store }) => show(cli, partner, store)),
      ),
    );
  addMappingTest(group, cli);
  addMappingDiff(group, cli);
}

async function set(cli: Cli, file: string | undefined, { partner: name, none }: SetOptions): Promise<undefined> {
  if ((file === undefined) === !none) throw usageError('Give a file with the rules (- for standard input), or --none.');
  const text = file === undefined ? null : await readInput(cli, file, 'a mapping');
  const rules = text === null ? 0 : readMapping(text).rules.length;
  return cli.withPartner(name, async (partner, { store }) => {
    await store.mappings.set(partner.uid, text);
    const done = `has a mapping of ${rules} ${rules === 1 ? 'rule' : 'rules'}`;
    const withdrawn = 'has no mapping: nobody of it has access';
    cli.print({ partner: partner.cloudId, rules }, `${shown(partner)} ${text === null ? withdrawn : done}`);
    return undefined;
  });
}

async function show(cli: Cli, partner: Partner, store: Installation['store']): Promise<undefined> {
  const stored = await store.mappings.get(partner.uid);
  const mapping: unknown = stored && JSON.parse(stored.rules);
  cli.note(
    stored ? `set ${formatTime(stored.updatedAt)}` : `${shown(partner)} has no mapping: nobody of it has access`,
  );
  if (stored || cli.json)
    cli.print(
      { partner: partner.cloudId, mapping, updated_at: isoTime(stored?.updatedAt ?? null) },
      jsonText(mapping, 2),
    );
}
