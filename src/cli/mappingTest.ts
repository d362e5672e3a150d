/** `alliance mapping test`: what a mapping makes of one token, rule by rule. */
import type { Command } from 'commander';
import { openKeystone } from '../broker/broker.ts';
import type { Installation } from '../broker/installation.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import type { Partner } from '../model/partner.ts';
import { foreignDomain, foreignUserId } from '../token/foreignUser.ts';
import { createLocaliser, mappingOptions } from '../token/localise.ts';
import { applyMapping } from '../token/mapping/apply.ts';
import { foreignIdentity } from '../token/mapping/identity.ts';
import { readMapping } from '../token/mapping/mapping.ts';
import { namedOutcome } from '../token/mapping/names.ts';
import type { Omission, RuleTrace } from '../token/mapping/outcome.ts';
import { type Cli, exits } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { readInput, readTextFile } from './input.ts';
import { formatFacts, formatTable, printable } from './text.ts';

interface TestOptions {
  readonly partner: string;
  readonly as: string;
  readonly rules?: string;
  readonly offline?: boolean;
}

interface Named {
  readonly id: string | null;
  readonly name: string | null;
}

/** As with --json. */
interface Trial {
  readonly outcome: 'accepted' | 'denied';
  readonly reason: string | null;
  readonly details: string | null;
  /** Numbers of the rules that fired. */
  readonly rule: string | null;
  /** Whether this cloud's Keystone was asked. */
  readonly keystone: boolean;
  readonly user: (Named & { readonly domain: Named }) | null;
  readonly project: (Named & { readonly domain: Named }) | null;
  readonly roles: readonly Named[];
  /** Names, where no Keystone was asked what they come to. */
  readonly groups: readonly string[];
  readonly rules: readonly RuleTrace[];
  readonly omissions: readonly Omission[];
}

type Result = Partial<Trial> & Pick<Trial, 'outcome' | 'rules'>;

const complete = (result: Result): Trial => ({
  reason: null,
  details: null,
  rule: null,
  keystone: false,
  user: null,
  project: null,
  roles: [],
  groups: [],
  omissions: [],
  ...result,
});

export function addMappingTest(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'test',
    summary: 'show what the mapping makes of a token: which rules fire and which do not, and what the user gets',
    more: `The token is a body as Keystone shows it ({"token": {...}}), from a file or standard input (-). Where a Keystone is
configured, names are looked up in it; else, and with --offline, only names are shown. The token need not be valid.
Exit code 0: accepted, 1: denied.`,
    examples: [
      'mapping test --partner east --as token.json',
      'mapping test --partner east --as token.json --rules new-rules.json --offline',
    ],
  })
    .requiredOption('--partner <partner>', 'the cloud that issued the token')
    .requiredOption('--as <file>', 'body of the token')
    .option('--rules <file>', 'rules to try instead of those in force')
    .option('--offline', 'without asking the Keystone')
    .action((options: TestOptions) =>
      finish(
        cli,
        cli.withPartner(options.partner, (partner, installation) => run(cli, installation, partner, options)),
      ),
    );
}

async function run(cli: Cli, installation: Installation, partner: Partner, options: TestOptions): Promise<number> {
  const body = await readInput(cli, options.as, '--as');
  const rules = options.rules === undefined ? null : await readTextFile(options.rules, '--rules');
  // A mistake in the rules is told as one, not as a denial.
  if (rules !== null) readMapping(rules);
  const stored = await installation.store.mappings.get(partner.uid);
  const inForce = rules ?? stored?.rules ?? null;
  const keystone = options.offline ? undefined : openKeystone(installation);
  try {
    const trial = keystone
      ? await tryWith(keystone, { installation, partner, body, rules: inForce })
      : tryNames({ installation, partner, body, rules: inForce });
    cli.print(trial, describe(trial));
    return trial.outcome === 'accepted' ? exits.done : exits.failed;
  } finally {
    await keystone?.close();
  }
}

interface Attempt {
  readonly installation: Installation;
  readonly partner: Partner;
  readonly body: string;
  /** Null: the partner has none. */
  readonly rules: string | null;
}

async function tryWith(keystone: Keystone, { installation, partner, body, rules }: Attempt): Promise<Trial> {
  const { clock } = installation;
  const { provisions } = installation.store;
  const stored = rules === null ? null : { partnerUid: partner.uid, rules, updatedAt: clock.now() };
  const store = { mappings: { get: async () => stored } };
  const config = () => installation.config;
  const localiser = createLocaliser({ ...installation, keystone, store, provisions, config });
  // Access rules are the service's to enforce; here they only have to be carried over.
  const found = await localiser.localise({ partner, body, source: 'live' }, { catalog: false, accessRules: true });
  const common = { rules: found.trace.rules, omissions: found.trace.omissions, keystone: true };
  if (found.kind === 'denied')
    return complete({ outcome: 'denied', reason: found.reason, details: found.details, ...common });
  const { token } = JSON.parse(found.body) as { token: Required<Pick<Trial, 'user' | 'project' | 'roles'>> };
  const { id, name, domain } = token.user!;
  const user = { id, name, domain };
  return complete({
    outcome: 'accepted',
    rule: found.rule,
    user,
    project: token.project,
    roles: token.roles,
    ...common,
  });
}

function tryNames({ installation, partner, body, rules }: Attempt): Trial {
  const identity = foreignIdentity(body, partner.cloudId);
  if (rules === null)
    return complete({ outcome: 'denied', reason: 'no_mapping', details: 'There is no mapping.', rules: [] });
  const outcome = applyMapping(readMapping(rules), identity, mappingOptions(installation.config));
  const named = namedOutcome(outcome);
  const omissions = outcome.kind === 'accepted' ? outcome.omissions : [];
  const common = { rules: outcome.trace, omissions };
  if (named.kind === 'denied' || outcome.kind === 'denied')
    return complete({
      outcome: 'denied',
      ...(named.kind === 'denied' && { reason: named.reason, details: named.details }),
      ...common,
    });
  const local = named.userType === 'local';
  const { domain } = outcome.user;
  return complete({
    outcome: 'accepted',
    rule: named.rule,
    user: {
      id: local ? null : foreignUserId(partner.uid, identity.subject.user.id),
      name: named.user,
      domain: local ? { id: domain?.id ?? null, name: domain?.name ?? null } : foreignDomain(partner),
    },
    project: named.project && {
      id: null,
      name: named.project.name,
      domain: { id: named.project.domain?.id ?? null, name: named.project.domain?.name ?? null },
    },
    roles: named.roles.map((name) => ({ id: null, name })),
    groups: named.groups,
    ...common,
  });
}

function describe(trial: Trial): string[] {
  const who = (named: (Named & { readonly domain: Named }) | null): string => {
    if (!named) return '-';
    const domain = named.domain.name ?? named.domain.id;
    return `${named.name ?? '-'}${named.id ? ` (${named.id})` : ''}${domain ? ` of domain ${domain}` : ''}`;
  };
  const rules = trial.rules.map(({ rule, effect, fired, why }) => [
    String(rule),
    effect,
    fired ? 'fires' : 'does not',
    why,
  ]);
  const omissions = trial.omissions.map(({ details }) => `left out: ${printable(details)}`);
  const table = rules.length > 0 ? [...formatTable(['RULE', 'EFFECT', 'FIRES', 'WHY'], rules), ''] : [];
  if (trial.outcome === 'denied')
    return [...table, ...omissions, `denied: ${printable(`${trial.reason}. ${trial.details}`)}`];
  return [
    ...table,
    ...omissions,
    `accepted by rule ${trial.rule}${trial.keystone ? '' : '; names only, no Keystone was asked'}`,
    ...formatFacts([
      ['user', who(trial.user)],
      ['project', who(trial.project)],
      ['roles', trial.roles.map(({ name }) => name ?? '').join(', ') || '-'],
      ...(trial.groups.length > 0 ? ([['groups', trial.groups.join(', ')]] as const) : []),
    ]),
  ];
}
