/** What the commands of `alliance image` work on: a scenario, a configuration, and a plan for each region. */
import { type Command, Option } from 'commander';
import { AllianceError } from '../core/errors.ts';
import { imageLimits } from '../core/limits.ts';
import { type GlancesyncConfig, masterTarget, readGlancesyncConf } from '../sync/images/glancesyncConf.ts';
import { type Master, readMaster } from '../sync/images/master.ts';
import type { RegionPlan } from '../sync/images/plan.ts';
import { planRegion } from '../sync/images/planner.ts';
import { chooseRegions, fullName, type Region } from '../sync/images/regions.ts';
import { readScenario, type World } from '../sync/images/scenario.ts';
import { type Cli, exits } from './cli.ts';
import { usageError } from './failure.ts';
import { readWhole } from './input.ts';

export const formats = ['csv', 'table', 'json'] as const;
export type Format = (typeof formats)[number];

export interface ImageOptions {
  readonly scenario: string;
  readonly glancesyncConfig?: string;
  readonly config?: readonly string[];
  readonly compat?: 'glancesync';
  readonly format?: Format;
}

export interface ImageWorld {
  readonly config: GlancesyncConfig;
  readonly compat: boolean;
  readonly format: Format;
  readonly listings: World;
  readonly master: Master;
  readonly regions: readonly Region[];
}

export interface Planned {
  readonly region: Region;
  readonly plan: RegionPlan;
}

const defaultPath = '/etc/glancesync.conf';

async function readConfig(
  cli: Cli,
  { glancesyncConfig, compat, config = [] }: ImageOptions,
): Promise<GlancesyncConfig> {
  const { env } = cli.world;
  const named = glancesyncConfig ?? env.GLANCESYNC_CONFIG;
  const text = named
    ? await readWhole(named, glancesyncConfig ? '--glancesync-config' : 'GLANCESYNC_CONFIG', imageLimits.configBytes)
    : await readIfThere(defaultPath);
  return readGlancesyncConf(text, { env, compat: compat === 'glancesync', overrides: config });
}

/** Without a file, the environment alone has to do. */
async function readIfThere(path: string): Promise<string> {
  try {
    return await readWhole(path, path, imageLimits.configBytes);
  } catch (error) {
    if (error instanceof AllianceError && /\(ENOENT\)/.test(error.details ?? '')) return '';
    throw error;
  }
}

export async function openWorld(cli: Cli, words: readonly string[], options: ImageOptions): Promise<ImageWorld> {
  if (cli.json && options.format !== undefined && options.format !== 'json')
    throw usageError(`--json and --format ${options.format} exclude each other.`, '--format');
  const config = await readConfig(cli, options);
  const listings = readScenario(options.scenario);
  const listing = listings.get(config.masterRegion);
  if (!listing)
    throw usageError(`The scenario has no region "${config.masterRegion}", which is the master.`, '--scenario');
  const { projectId } = config.targets.get(masterTarget)!;
  return {
    config,
    compat: options.compat === 'glancesync',
    format: cli.json ? 'json' : (options.format ?? 'table'),
    listings,
    master: readMaster(fullName(config.masterRegion), listing, projectId),
    regions: chooseRegions(words, [...listings.keys()], config),
  };
}

export const planOf = ({ master, compat }: ImageWorld, listings: World, { name, target }: Region): RegionPlan =>
  planRegion({ master, listing: listings.get(name) ?? [], target, projectId: target.projectId, compat });

export const planAll = (world: ImageWorld, listings: World = world.listings): Planned[] =>
  world.regions.map((region) => ({ region, plan: planOf(world, listings, region) }));

/** Whether there is nothing left that is not as it should be. */
export const isInSync = ({ failure, entries, notices }: RegionPlan): boolean =>
  failure === null &&
  entries.every(({ status }) => status.startsWith('ok')) &&
  notices.every(({ kind }) => kind !== 'condition_failed');

/** How far a set of regions came. */
export function exitFor(good: readonly boolean[]): number {
  if (good.every(Boolean)) return exits.done;
  return good.some(Boolean) ? exits.partly : exits.failed;
}

/** The same after a sync, where a region may have come a part of the way. */
export function exitAfter(plans: readonly RegionPlan[]): number {
  if (plans.every(isInSync)) return exits.done;
  const some = plans.some(({ entries }) => entries.some(({ status }) => status.startsWith('ok')));
  return some ? exits.partly : exits.failed;
}

/** Options that all of these commands have. */
export const addWorldOptions = (command: Command): Command =>
  command
    .argument('[region...]', "regions: R, other:R, or other: for all of a target; none: all of the master's Keystone")
    .requiredOption('--scenario <dir>', 'directory of backup_REGION.csv files that stands for the clouds')
    .option(
      '--glancesync-config <file>',
      `configuration of GlanceSync (default: $GLANCESYNC_CONFIG, else ${defaultPath})`,
    )
    .option(
      '--config <key=value...>',
      'before what the file says: for all targets, or for one as other.replace=any; regions come before this',
    )
    .addOption(
      new Option('--compat <program>', 'decide as GlanceSync 1.7 did, mistakes included').choices(['glancesync']),
    )
    .addOption(new Option('--format <format>', 'form of the result (default: table)').choices(formats));
