/** `alliance image status, plan, diff, sync, backup, config-sample` */
import type { Command } from 'commander';
import { applyPlan } from '../sync/images/apply.ts';
import { sampleGlancesyncConf } from '../sync/images/glancesyncSample.ts';
import type { Image } from '../sync/images/image.ts';
import { fullName } from '../sync/images/regions.ts';
import { listingFile, refuseListingsIn, writeListings } from '../sync/images/scenario.ts';
import type { Cli } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { diffForm, planForm, report, reportFiles, statusForm } from './imageView.ts';
import {
  addWorldOptions,
  exitAfter,
  exitFor,
  type ImageOptions,
  type ImageWorld,
  isInSync,
  openWorld,
  type Planned,
  planAll,
  planOf,
} from './imageWorld.ts';

interface SyncOptions extends ImageOptions {
  readonly scenarioOut?: string;
  readonly dryRun?: boolean;
}

interface BackupOptions extends ImageOptions {
  readonly to?: string;
}

const more = `It works on scenarios so far: directories of backup_REGION.csv files, as GlanceSync's backups and its own tests have them.
It needs no home directory. OS_REGION_NAME and OS_PROJECT_NAME (or OS_TENANT_NAME) stand in for what the configuration does not say.`;

export function addImage(program: Command, cli: Cli): void {
  const group = addGroup(
    program,
    'image',
    "which images of a master region other regions lack, by GlanceSync's rules; on scenarios so far",
    'image status --scenario DIR --glancesync-config glancesync.conf',
  );
  for (const { name, summary, form } of [
    { name: 'status', summary: 'show the status of each selected image in each region', form: statusForm },
    { name: 'plan', summary: 'show what a sync would do, in its order; changes nothing', form: planForm },
    { name: 'diff', summary: 'show in which fields images differ from the master', form: diffForm },
  ])
    addWorldOptions(
      addCommand(group, {
        usage: name,
        summary,
        more: `${more}\nExit code 0: all regions could be looked at, 3: some, 1: none.`,
        examples: [
          `image ${name} --scenario DIR --glancesync-config glancesync.conf`,
          `image ${name} Burgos other: --scenario DIR --compat glancesync --format csv`,
        ],
      }),
    ).action((words: string[], options: ImageOptions) => {
      const run = async (): Promise<number> => {
        const world = await openWorld(cli, words, options);
        const planned = planAll(world);
        report(cli, form, { master: world.master.region, format: world.format, planned });
        return exitFor(planned.map(({ plan }) => plan.failure === null));
      };
      return finish(cli, run());
    });
  addSync(group, cli);
  addBackup(group, cli);
  addCommand(group, {
    usage: 'config-sample',
    summary: 'print a commented glancesync.conf with every option',
    examples: ['image config-sample > glancesync.conf'],
  }).action(() => cli.print({ text: sampleGlancesyncConf }, sampleGlancesyncConf.trimEnd()));
}

function addSync(group: Command, cli: Cli): void {
  const command = addCommand(group, {
    usage: 'sync',
    summary: 'do what the plan says, and rewrite the scenario',
    more: `${more}\nExit code 0: all is in sync now, 3: a part of it, 1: nothing.`,
    examples: [
      'image sync --scenario DIR --glancesync-config glancesync.conf --dry-run',
      'image sync Burgos --scenario DIR --scenario-out NEW --compat glancesync',
    ],
  });
  addWorldOptions(command)
    .option('--scenario-out <dir>', 'write all regions there, and leave the scenario as it is')
    .option('--dry-run', 'only show what would be done; changes nothing')
    .action((words: string[], options: SyncOptions) => finish(cli, sync(cli, words, options)));
}

async function sync(cli: Cli, words: readonly string[], options: SyncOptions): Promise<number> {
  const { dryRun = false, scenarioOut } = options;
  if (dryRun && scenarioOut !== undefined)
    throw usageError('--dry-run writes nothing, so --scenario-out is not for it.');
  const place = {
    directory: scenarioOut ?? options.scenario,
    field: scenarioOut === undefined ? '--scenario' : '--scenario-out',
  };
  if (scenarioOut !== undefined) refuseListingsIn(place, options.scenario);
  const world = await openWorld(cli, words, options);
  const { planned, listings } = dryRun ? { planned: planAll(world), listings: world.listings } : carryOut(world);
  if (scenarioOut !== undefined) writeListings(place, listings);
  else {
    const changed = planned.filter(({ plan }) => plan.actions.length > 0).map(({ region }) => region.name);
    const wanted = new Set(dryRun ? [] : changed);
    writeListings(place, new Map([...listings].filter(([name]) => wanted.has(name))));
  }
  const after = planAll(world, listings).map(({ plan }) => plan);
  report(cli, planForm, {
    master: world.master.region,
    format: world.format,
    planned,
    more: { dry_run: dryRun, in_sync: after.every(isInSync) },
  });
  return dryRun ? exitFor(planned.map(({ plan }) => plan.failure === null)) : exitAfter(after);
}

/** One region after the other, each as those before have left the world. */
function carryOut(world: ImageWorld): {
  readonly planned: Planned[];
  readonly listings: Map<string, readonly Image[]>;
} {
  const listings = new Map(world.listings);
  const planned = world.regions.map((region): Planned => {
    const plan = planOf(world, listings, region);
    const { actions } = plan;
    const listing = listings.get(region.name) ?? [];
    listings.set(region.name, applyPlan({ master: world.master, listing, actions, owner: region.target.owner }));
    return { region, plan };
  });
  return { planned, listings };
}

function addBackup(group: Command, cli: Cli): void {
  const command = addCommand(group, {
    usage: 'backup',
    summary: 'write the listings of the regions and of the master, as CSV files that are a scenario again',
    more,
    examples: ['image backup --scenario DIR --to SAVED', 'image backup Burgos --scenario DIR'],
  });
  addWorldOptions(command)
    .option('--to <dir>', 'where to (default: backup_glance_TIME here)')
    .action((words: string[], options: BackupOptions) => finish(cli, backup(cli, words, options)));
}

async function backup(cli: Cli, words: readonly string[], options: BackupOptions): Promise<undefined> {
  const directory = options.to ?? `backup_glance_${new Date().toISOString().replace(/Z$/, '')}`;
  const place = { directory, field: '--to' };
  refuseListingsIn(place);
  const { config, listings, regions, format } = await openWorld(cli, words, options);
  const names = new Set([fullName(config.masterRegion), ...regions.map(({ name }) => name)]);
  const chosen = new Map([...names].map((name) => [name, listings.get(name) ?? []] as const));
  writeListings(place, chosen);
  const files = [...chosen].map(([region, images]) => ({ region, file: listingFile(region), images: images.length }));
  reportFiles(cli, directory, files, format);
  return undefined;
}
