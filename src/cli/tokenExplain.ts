/** `alliance token explain`: whose token it is and how that is told, what its issuer says, and what a service here would see of it. */
import type { Command } from 'commander';
import { openKeystone } from '../broker/broker.ts';
import type { Installation } from '../broker/installation.ts';
import { toAllianceError } from '../core/errors.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import type { Explanation } from '../token/explain.ts';
import { createForeignTokens, type ForeignVerdict } from '../token/foreign.ts';
import { Hints } from '../token/hints.ts';
import { createLocaliser, type Localised } from '../token/localise.ts';
import { RevocationMarks } from '../token/revocation/marks.ts';
import { askWhetherLocal } from '../token/search.ts';
import { type Cli, exits } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { readSecret } from './input.ts';
import { middlewareHeaders } from './middlewareHeaders.ts';
import { formatFacts, formatTable, printable } from './text.ts';

interface ExplainOptions {
  readonly file?: string;
  readonly allowExpired?: boolean;
}

/** What the mapping makes of it; null where there is nothing to map, or no Keystone to map it for. */
type Mapped = { readonly ms: number } & ({ readonly found: Localised } | { readonly error: string });

export function addTokenExplain(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'explain [token]',
    summary:
      'show how a token is decided on here: whose it is, what its issuer says, which rules fire, which headers result',
    more: `It asks by itself, and not what a running broker remembers. The token comes as an argument, from standard input (-),
from a file, or from a prompt without echo; it is never shown. Exit code 0: accepted, 1: refused, 3: nobody could tell.`,
    examples: ['token explain - < token.txt', 'token explain --file token.txt --json'],
  })
    .option('--file <path>', 'file that holds the token')
    .option('--allow-expired', 'as for a service that asks for expired tokens, too')
    .action((token: string | undefined, options: ExplainOptions) => finish(cli, run(cli, token, options)));
}

async function run(cli: Cli, argument: string | undefined, options: ExplainOptions): Promise<number> {
  const token = await readSecret(cli, { what: 'token', argument, file: options.file });
  return cli.open(async (installation) => {
    const keystone = openKeystone(installation);
    try {
      const allowExpired = options.allowExpired ?? false;
      const explanation = await explain(installation, keystone, token, allowExpired);
      const mapped = await mapOf(installation, keystone, explanation.verdict);
      const accepted = mapped && 'found' in mapped && mapped.found.kind === 'accepted' ? mapped.found : null;
      const view = viewOf(explanation, mapped, accepted && middlewareHeaders(accepted.body));
      cli.print(view, describe(view));
      return { accepted: exits.done, refused: exits.failed, undecided: exits.partly }[view.outcome];
    } finally {
      await keystone?.close();
    }
  });
}

/** With nothing remembered, so that every answer is the issuer's own. */
async function explain(
  installation: Installation,
  keystone: Keystone | undefined,
  token: string,
  allowExpired: boolean,
) {
  const { view, clock, ownTokenKeys } = installation;
  // Who signs this cloud's own tokens decides on the order of the steps.
  if (keystone) ownTokenKeys.watch(keystone);
  await Promise.all([ownTokenKeys.list(), keystone?.login().catch(() => undefined)]);
  const foreign = createForeignTokens({
    ...installation,
    config: () => installation.config,
    marks: new RevocationMarks(clock),
    hints: new Hints({ view, clock }),
    isLocal: keystone && askWhetherLocal(keystone),
    followers: { head: () => null, wake: () => undefined },
  });
  try {
    const local = keystone && {
      local: async (subject: string) => (await keystone.validateToken(subject, { allowExpired })).status === 'valid',
    };
    return await foreign.explain(token, { allowExpired, ...local });
  } finally {
    foreign.close();
  }
}

async function mapOf(
  installation: Installation,
  keystone: Keystone | undefined,
  verdict: ForeignVerdict | null,
): Promise<Mapped | null> {
  if (!keystone || verdict?.kind !== 'valid') return null;
  const { provisions } = installation.store;
  const config = () => installation.config;
  const localiser = createLocaliser({ ...installation, keystone, config, provisions });
  const startedAt = performance.now();
  const since = () => performance.now() - startedAt;
  try {
    const found = await localiser.localise(verdict, { catalog: false, accessRules: true });
    return { found, ms: since() };
  } catch (thrown) {
    return { error: toAllianceError(thrown).errorName, ms: since() };
  }
}

const round = (ms: number): number => Math.round(ms * 100) / 100;

type View = ReturnType<typeof viewOf>;

function viewOf(explanation: Explanation, mapped: Mapped | null, headers: Readonly<Record<string, string>> | null) {
  const { token, steps, issuer, recognised, verdict, verdictMs } = explanation;
  const outcome = outcomeOf(explanation, mapped);
  const answer = verdict && {
    status: verdict.kind,
    source: verdict.kind === 'valid' ? verdict.source : null,
    reason: verdict.kind === 'undecided' ? verdict.reason : null,
    ms: round(verdictMs ?? 0),
  };
  const found = mapped && 'found' in mapped ? mapped.found : null;
  const mapping = mapped && {
    outcome: found?.kind ?? ('undecided' as const),
    reason: found ? (found.kind === 'denied' ? found.reason : null) : 'error' in mapped ? mapped.error : null,
    details: found?.kind === 'denied' ? found.details : null,
    rule: found?.kind === 'accepted' ? found.rule : null,
    rules: found?.trace.rules ?? [],
    omissions: found?.trace.omissions ?? [],
    ms: round(mapped.ms),
  };
  const shown = steps.map((step) => ({ ...step, ms: round(step.ms) }));
  return { token, outcome, issuer, by: recognised?.by ?? null, steps: shown, answer, mapping, headers };
}

function outcomeOf({ issuer, verdict, steps }: Explanation, mapped: Mapped | null) {
  if (issuer === 'local') return 'accepted' as const;
  const unanswered = steps.some(({ outcome }) => !['recognised', 'unusable', 'no', 'not asked'].includes(outcome));
  if (verdict === null) return unanswered ? ('undecided' as const) : ('refused' as const);
  if (verdict.kind === 'undecided' || (mapped && 'error' in mapped)) return 'undecided' as const;
  if (verdict.kind === 'invalid' || !mapped) return 'refused' as const;
  return 'found' in mapped && mapped.found.kind === 'accepted' ? ('accepted' as const) : ('refused' as const);
}

function describe({ token, outcome, issuer, by, steps, answer, mapping, headers }: View): string[] {
  const whose = issuer === 'local' ? "this cloud's own" : (issuer ?? 'unknown');
  const said = answer && [answer.status, answer.source, answer.reason].filter((word) => word !== null).join(', ');
  const lines = [
    ...formatFacts([
      ['token', token],
      ['outcome', outcome],
      ['issuer', by === null ? whose : `${whose}, by ${by}`],
      ...(said ? [['its word', `${said} (${answer.ms} ms)`] as const] : []),
      ...(mapping ? [['mapping', describeMapping(mapping)] as const] : []),
    ]),
    '',
    ...formatTable(
      ['STEP', 'RESULT', 'MS'],
      steps.map(({ step, on, outcome: result, ms }) => [step, on ? result : 'off', String(ms)]),
    ),
  ];
  if (mapping && mapping.rules.length > 0)
    lines.push(
      '',
      ...formatTable(
        ['RULE', 'FIRED', 'WHY'],
        mapping.rules.map(({ rule, fired, why }) => [String(rule), fired ? 'yes' : 'no', printable(why)]),
      ),
    );
  if (mapping) lines.push(...mapping.omissions.map(({ details }) => `left out: ${printable(details)}`));
  if (headers) lines.push('', ...Object.entries(headers).map(([name, value]) => `${name}: ${printable(value)}`));
  return lines;
}

const describeMapping = ({ outcome, reason, details, rule, ms }: NonNullable<View['mapping']>): string =>
  `${printable([outcome, rule && `rules ${rule}`, reason, details].filter((word) => word).join(', '))} (${ms} ms)`;
