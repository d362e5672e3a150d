/** `alliance image sync` */
import { type Command, InvalidArgumentError } from 'commander';
import { openRegions } from '../broker/imageEnds.ts';
import { openImageState } from '../broker/imageState.ts';
import { systemClock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { imageLimits } from '../core/limits.ts';
import type { Store } from '../model/store.ts';
import { linesOf } from '../sync/images/eventLines.ts';
import { runSync } from '../sync/images/sync.ts';
import type { SyncEvent, SyncReport, SyncRequest } from '../sync/images/syncTypes.ts';
import { wantedActions } from '../sync/images/tasks.ts';
import { parseBandwidth } from '../sync/transfer/bandwidth.ts';
import { type Cli, exits } from './cli.ts';
import { describeFailure, usageError } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { isRegionInSync, type Only, viewEvent, viewReport } from './imageEvents.ts';
import { openRegionLogs } from './imageLogs.ts';
import { addWorldOptions, type Format, formatOf, type ImageOptions, worldHelp } from './imageOptions.ts';
import { startSyncProgress } from './imageProgress.ts';
import { type OpenRegions, withRegions, withWorld } from './imageReal.ts';
import { syncScenario } from './imageScenario.ts';
import { planForm, report, writeTasks } from './imageView.ts';
import { exitForPlans, isInSync, planAll } from './imageWorld.ts';
import { jsonText, printable } from './text.ts';
import { collect, parseCount } from './values.ts';

interface SyncOptions extends ImageOptions {
  readonly scenarioOut?: string;
  readonly dryRun?: boolean;
  readonly parallel?: number;
  readonly only?: readonly string[];
  readonly yes?: boolean;
  readonly logDir?: string;
  readonly bwlimit?: string;
  readonly maxBytes?: number;
}

export function addSync(group: Command, cli: Cli): void {
  const command = addCommand(group, {
    usage: 'sync',
    summary: 'bring the images of the master to the regions, as the plan says',
    more: `${worldHelp}
Each image is sent under a mark, compared by hash, and only then takes its place; what a run leaves unfinished, the next one mends.
Ctrl-C ends it cleanly, a second one at once. With --json, one object a line while it runs, the last one being the report.
Exit code 0: all is in sync now, 3: a part of it, 1: nothing.`,
    examples: [
      'image sync --from east --dry-run',
      'image sync Burgos other: --glancesync-config glancesync.conf --parallel 4 --bwlimit 50M',
      'image sync --scenario DIR --scenario-out NEW --compat glancesync',
    ],
  });
  addWorldOptions(command)
    .option('--dry-run', 'only show what would be done; changes nothing')
    .option('--only <name>', 'only the image of this name and what it needs; several times for several', collect)
    .option('--parallel <n>', 'regions at a time (default: as configured, else 1)', parseCount)
    .option('--bwlimit <rate>', 'MiB per second of all transfers together, such as 50M, or "08:00,10M 19:00,off"')
    .option('--max-bytes <size>', 'send no more than this, such as 20G; what does not fit is skipped', parseSize)
    .option('--yes', 'also where a listing has shrunk, or more would be replaced than is usual')
    .option('--log-dir <dir>', 'write a log for each region there')
    .option('--scenario-out <dir>', 'write all regions of the scenario there, and leave it as it is')
    .action((words: string[], options: SyncOptions) => finish(cli, sync(cli, words, options)));
}

const units = new Map([
  ['', 1],
  ['K', 1024],
  ['M', 1024 ** 2],
  ['G', 1024 ** 3],
  ['T', 1024 ** 4],
]);

function parseSize(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,12})([KMGT]?)$/i.exec(text) ?? [];
  const bytes = Number(digits) * units.get(unit.toUpperCase())!;
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw new InvalidArgumentError('It must be a number of bytes such as 20G, 512M or 1000000.');
  return bytes;
}

async function sync(cli: Cli, words: readonly string[], options: SyncOptions): Promise<number> {
  const { dryRun = false, scenario, scenarioOut } = options;
  const format = formatOf(cli, options);
  if (scenarioOut !== undefined && (dryRun || scenario === undefined))
    throw usageError(
      dryRun ? '--dry-run writes nothing, so --scenario-out is not for it.' : '--scenario-out goes with --scenario.',
      '--scenario-out',
    );
  if (scenario !== undefined) return scenarioSync(cli, words, { ...options, scenario, dryRun }, format);
  if (dryRun) return dry(cli, words, options, format);
  return withRegions(cli, words, options, (open) => realSync(cli, open, options, format));
}

async function scenarioSync(
  cli: Cli,
  words: readonly string[],
  options: SyncOptions & { readonly scenario: string; readonly dryRun: boolean },
  format: Format,
): Promise<number> {
  for (const option of ['only', 'parallel', 'bwlimit', 'maxBytes', 'logDir'] as const)
    if (options[option] !== undefined)
      throw usageError('A scenario has no bytes to send: only --dry-run and --scenario-out go with it.', option);
  const { world, planned, inSync, code } = await syncScenario(cli, words, options);
  const more = { dry_run: options.dryRun, in_sync: inSync };
  report(cli, planForm, { master: world.masterName, format, planned, more });
  return code;
}

const dry = (cli: Cli, words: readonly string[], options: SyncOptions, format: Format): Promise<number> =>
  withWorld(cli, words, options, async (world) => {
    const only = options.only ? new Set(options.only) : null;
    const planned = (await planAll(world)).map(({ region, plan }) => ({
      region,
      plan: { ...plan, actions: wantedActions(plan.actions, only) },
    }));
    const more = { dry_run: true, in_sync: planned.every(({ plan }) => isInSync(plan)) };
    report(cli, planForm, { master: world.masterName, format, planned, more });
    return exitForPlans(planned);
  });

async function realSync(cli: Cli, open: OpenRegions, options: SyncOptions, format: Format): Promise<number> {
  const { config, clouds, installation } = open;
  const bandwidth = options.bwlimit ?? config.bwlimit;
  const bytesPerS = bandwidth === null ? null : parseBandwidth(bandwidth);
  const parallel = Math.min(options.parallel ?? config.parallel, imageLimits.parallel);
  const { master, regions } = await openRegions(clouds, open.master, open.regions);
  const store = installation?.store ?? (await openImageState(cli.world.env, systemClock));
  try {
    const request: SyncRequest = {
      master,
      regions,
      compat: options.compat === 'glancesync',
      parallel,
      imagesParallel: imageLimits.imagesAtOnce,
      bytesPerS,
      maxBytes: options.maxBytes ?? null,
      only: options.only ? new Set(options.only) : null,
      approved: options.yes ?? false,
      trigger: 'manual',
    };
    const { done, interrupted } = await run(cli, request, store, { format, logDir: options.logDir });
    writeRun(cli, master.name, done, request.only, format);
    if (interrupted) return exits.interrupted;
    return exitOf(done, hasUnknown(cli, done, request.only), request.only);
  } finally {
    if (!installation) await store.close();
  }
}

export function writeRun(cli: Cli, master: string, done: SyncReport, only: Only, format: Format): void {
  if (format === 'json') cli.line(jsonText(viewReport(master, done, only)));
  else writeTasks(cli, done, only, format);
}

export interface Outputs {
  readonly format: Format;
  readonly logDir: string | undefined;
}

/** The sync itself, with all who listen to it. */
export async function run(cli: Cli, request: SyncRequest, store: Store, { format, logDir }: Outputs) {
  const names = request.regions.map(({ name }) => name);
  const failed = (error: unknown): void => cli.note(describeFailure(error));
  const logs = logDir === undefined ? undefined : openRegionLogs(logDir, names, { now: Date.now, failed });
  const kept = keepLines(store);
  const progress = format === 'json' ? undefined : startSyncProgress(cli.world.stderr);
  const stop = stopOnSignal(() => cli.hint('Stopping; once more ends it at once.'));
  const onEvent = (event: SyncEvent): void => {
    progress?.take(event);
    logs?.take(event);
    kept.take(event);
    const view = format === 'json' ? viewEvent(event) : undefined;
    if (view) cli.line(jsonText(view));
  };
  try {
    const done = await runSync({ ...request, signal: stop.signal, onEvent }, { store });
    return { done, interrupted: stop.signal.aborted };
  } finally {
    progress?.stop();
    stop.end();
    await kept.end().catch(failed);
  }
}

/** What `alliance execution logs` shows later. */
function keepLines({ executionLog }: Store) {
  let id = '';
  let writing = Promise.resolve();
  return {
    take(event: SyncEvent): void {
      if (event.kind === 'started') id = event.executionId;
      const lines = linesOf(event, Date.now());
      if (lines.length > 0) writing = writing.then(() => executionLog.append(id, lines));
      // Told at the end; until then the rest is written nevertheless, if it can be.
      writing.catch(() => undefined);
    },
    end: () => writing,
  };
}

function stopOnSignal(told: () => void): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const end = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  const onSignal = (): void => {
    // The next one ends the process as signals do.
    end();
    told();
    controller.abort(new AllianceError('shutting_down', { details: 'It was interrupted.', retryable: false }));
  };
  for (const signal of signals) process.on(signal, onSignal);
  return { signal: controller.signal, end };
}

/** Names that nobody has cannot be in sync. */
function hasUnknown(cli: Cli, { regions }: SyncReport, only: Only): boolean {
  const planned = regions.flatMap(({ plan }) => (plan ? [new Set(plan.entries.map(({ name }) => name))] : []));
  const unknown = [...(only ?? [])].filter((name) => planned.length > 0 && !planned.some((names) => names.has(name)));
  for (const name of unknown) cli.note(printable(`--only ${name}: no such image of the master is selected.`));
  return unknown.length > 0;
}

export function exitOf(done: SyncReport, someMissing: boolean, only: Only): number {
  if (done.state === 'done' && !someMissing && done.regions.every((region) => isRegionInSync(region, only)))
    return exits.done;
  const some = done.regions.some(
    (region) =>
      isRegionInSync(region, only) ||
      region.tasks.some(({ state }) => state === 'done') ||
      region.plan?.entries.some(({ status }) => status.startsWith('ok')),
  );
  return some ? exits.partly : exits.failed;
}
