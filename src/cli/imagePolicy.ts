/** `alliance image policy list, run, enable, disable` */
import type { Command } from 'commander';
import { openImageEnds } from '../broker/imageEnds.ts';
import { askOfPolicy, holdLease, policyLease } from '../broker/imagePolicies.ts';
import type { Installation } from '../broker/installation.ts';
import type { ImagePolicySettings } from '../core/config.ts';
import { nextTime } from '../core/cron.ts';
import { AllianceError } from '../core/errors.ts';
import { imageLimits } from '../core/limits.ts';
import type { Execution } from '../model/execution.ts';
import type { PolicyState } from '../model/policy.ts';
import { parseBandwidth } from '../sync/transfer/bandwidth.ts';
import { findBroker } from './brokerFile.ts';
import { type Cli, exits } from './cli.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { formatOf } from './imageOptions.ts';
import { exitOf, run, writeRun } from './imageSync.ts';
import { formatTable, formatTime, isoTime } from './text.ts';

interface RunOptions {
  readonly background?: boolean;
  readonly yes?: boolean;
}

export function addPolicy(image: Command, cli: Cli): void {
  const group = addGroup(
    image,
    'policy',
    'syncs that the broker does by itself (images.policies)',
    'image policy list',
  );
  addCommand(group, {
    usage: 'list',
    summary: 'list policies: when they run, and what became of the last run',
    examples: ['image policy list'],
  }).action(() =>
    finish(
      cli,
      cli.open((installation) => list(cli, installation)),
    ),
  );
  addCommand(group, {
    usage: 'run <policy>',
    summary: 'run one now, also one that is switched off',
    more: 'Here, and to its end; with --background by the broker. Exit codes as those of `alliance image sync`.',
    examples: ['image policy run nightly', 'image policy run nightly --background'],
  })
    .option('--background', 'leave it to the broker, which looks every few seconds')
    .option('--yes', 'also where a listing has shrunk, or more would be replaced than is usual')
    .action((name: string, options: RunOptions) =>
      finish(
        cli,
        cli.open((installation) => runPolicy(cli, installation, name, options)),
      ),
    );
  for (const [name, summary, disabled] of [
    ['enable', 'have the broker run one again, from now on', false],
    ['disable', 'have the broker run one no more, whatever alliance.yaml says', true],
  ] as const)
    addCommand(group, { usage: `${name} <policy>`, summary, examples: [`image policy ${name} nightly`] }).action(
      (policy: string) =>
        finish(
          cli,
          cli.open((installation) => switchPolicy(cli, installation, policy, disabled)),
        ),
    );
}

function policyNamed({ config }: Installation, name: string): ImagePolicySettings {
  const { policies } = config.images;
  const found = policies.get(name);
  if (found) return found;
  const names = [...policies.keys()].join(', ');
  throw new AllianceError('usage', {
    field: 'policy',
    details: `There is no policy "${name}" in images.policies${names === '' ? '' : `; there are: ${names}`}.`,
  });
}

interface Row {
  readonly name: string;
  readonly policy: ImagePolicySettings;
  readonly state: PolicyState | undefined;
  readonly last: Execution | null;
}

const nextOf = ({ policy, state }: Row, now: number): number | null => {
  if (policy.trigger === 'manual' || policy.trigger === 'event' || state?.disabled) return null;
  return nextTime(policy.trigger, policy.timeZone, Math.max(now, state?.seenTill ?? 0));
};

async function list(cli: Cli, { config, store, clock }: Installation): Promise<undefined> {
  const now = clock.now();
  const states = new Map((await store.policies.list()).map((state) => [state.name, state]));
  const rows = await Promise.all(
    [...config.images.policies].map(async ([name, policy]): Promise<Row> => {
      const state = states.get(name);
      const last = state?.lastExecution ? await store.executions.get(state.lastExecution) : null;
      return { name, policy, state, last };
    }),
  );
  const value = rows.map((row) => ({
    name: row.name,
    disabled: row.state?.disabled ?? false,
    trigger: row.policy.trigger,
    time_zone: row.policy.timeZone,
    overlap: row.policy.overlap,
    from: row.policy.from ?? null,
    regions: row.policy.regions,
    next_at: isoTime(nextOf(row, now)),
    due_since: isoTime(row.state?.due?.since ?? null),
    skipped_at: isoTime(row.state?.skippedAt ?? null),
    last_execution: row.last && { id: row.last.id, state: row.last.state, started_at: isoTime(row.last.startedAt) },
  }));
  const lines = rows.map((row) => {
    const { name, policy, state, last } = row;
    const next = nextOf(row, now);
    const when = state?.due ? 'now' : next === null ? '-' : formatTime(next);
    return [
      name,
      state?.disabled ? 'disabled' : 'enabled',
      policy.trigger === 'manual' || policy.trigger === 'event'
        ? policy.trigger
        : `${policy.trigger} ${policy.timeZone}`,
      `${policy.from ?? config.images.masterRegion ?? 'master region'} -> ${policy.regions.join(', ') || 'master:'}`,
      when,
      last ? `${last.state}, ${formatTime(last.startedAt)}, ${last.id}` : '-',
    ];
  });
  const table = formatTable(['POLICY', 'STATE', 'TRIGGER', 'REGIONS', 'NEXT', 'LAST'], lines);
  cli.print({ policies: value }, rows.length === 0 ? ['No policies: images.policies of alliance.yaml.'] : table);
  return undefined;
}

async function runPolicy(cli: Cli, installation: Installation, name: string, options: RunOptions): Promise<number> {
  const policy = policyNamed(installation, name);
  return options.background ? leave(cli, installation, name) : runHere(cli, installation, name, policy, options);
}

async function leave(cli: Cli, { store, clock, home }: Installation, name: string): Promise<number> {
  await store.policies.ask(name, 'manual', clock.now());
  const { alive } = findBroker(home);
  if (!alive) cli.note('No broker runs on this host: it is run by the next one that does.');
  cli.event({ event: 'asked', policy: name }, `policy ${name}: the broker runs it`);
  return exits.done;
}

async function runHere(
  cli: Cli,
  installation: Installation,
  name: string,
  policy: ImagePolicySettings,
  { yes = false }: RunOptions,
): Promise<number> {
  const lease = await holdLease(installation, policyLease(name));
  if (!lease) throw new AllianceError('sync_running', { details: `Policy ${name} runs now.` });
  try {
    const ask = askOfPolicy(name, policy);
    const ends = await openImageEnds(installation, ask.query);
    try {
      const only = ask.options.only && new Set(ask.options.only);
      const bandwidth = ask.bwlimit ?? ends.config.bwlimit;
      const request = {
        ...{ ...ask.options, master: ends.master, regions: ends.regions, trigger: ask.trigger, only },
        parallel: Math.min(ask.options.parallel ?? ends.config.parallel, imageLimits.parallel),
        bytesPerS: bandwidth === null ? null : parseBandwidth(bandwidth, `images.policies.${name}.bwlimit`),
        approved: yes,
      };
      const format = formatOf(cli, {});
      const { done, interrupted } = await run(cli, request, installation.store, { format, logDir: undefined });
      await installation.store.policies.started(name, done.executionId);
      writeRun(cli, ends.master.name, done, only, format);
      return interrupted ? exits.interrupted : exitOf(done, false, only);
    } finally {
      await ends.close();
    }
  } finally {
    await lease.release();
  }
}

/** One that alliance.yaml no longer names can be switched on again, so that it leaves nothing behind. */
async function switchPolicy(cli: Cli, installation: Installation, name: string, disabled: boolean): Promise<undefined> {
  const known = await installation.store.policies.get(name);
  if (disabled || !known) policyNamed(installation, name);
  await installation.store.policies.setDisabled(name, disabled);
  cli.print({ policy: name, disabled }, `policy ${name}: ${disabled ? 'disabled' : 'enabled'}`);
  return undefined;
}
