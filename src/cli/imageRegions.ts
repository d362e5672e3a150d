/** `alliance image regions, orphans` */
import type { Command } from 'commander';
import { toAllianceError } from '../core/errors.ts';
import { masterTarget } from '../sync/images/imagesConfig.ts';
import { findOrphans } from '../sync/images/orphans.ts';
import { splitRegion } from '../sync/images/regions.ts';
import { readScenario } from '../sync/images/scenario.ts';
import { type Cli, exits } from './cli.ts';
import { addCommand, finish } from './group.ts';
import {
  addConfigurationOptions,
  addWorldOptions,
  formatOf,
  type ImageOptions,
  readImagesConfig,
  worldHelp,
} from './imageOptions.ts';
import { withClouds, withWorld } from './imageReal.ts';
import { type RegionOrphans, type ShownRegion, writeOrphans, writeRegions } from './imageView.ts';
import { eachRegion, exitFor, type ImageWorld } from './imageWorld.ts';
import { printable } from './text.ts';

export function addRegions(group: Command, cli: Cli): void {
  const command = addCommand(group, {
    usage: 'regions',
    summary: 'list the regions that have images: of this cloud, of targets and of partners',
    more: `${worldHelp}\n--format csv prints one line, as GlanceSync did. Exit code 0: all clouds answered, 3: some, 1: none.`,
    examples: ['image regions', 'image regions --scenario DIR --format csv'],
  });
  addConfigurationOptions(command).action((options: ImageOptions) => finish(cli, regions(cli, options)));
}

async function regions(cli: Cli, options: ImageOptions): Promise<number> {
  const format = formatOf(cli, options);
  if (options.scenario !== undefined) {
    const { masterRegion } = await readImagesConfig(cli, options);
    const names = [...readScenario(options.scenario).keys()].sort(byTarget);
    const found = names.map((name) => ({ name, kind: 'scenario' as const, endpoints: 0 }));
    writeRegions(cli, masterRegion, found, format);
    return exits.done;
  }
  return withClouds(cli, options, async ({ config, clouds }) => {
    // A partner that was given a name of its own is shown by that one, and once.
    const configured = [...config.targets.keys()].map((name) => clouds.partners.get(name)?.name ?? name);
    const partners = [...clouds.partners.values()].map(({ name }) => name);
    const targets = [...new Set([masterTarget, ...configured, ...partners])];
    const found = await Promise.all(
      targets.map(async (target): Promise<readonly ShownRegion[] | undefined> => {
        try {
          return await clouds.regions(target);
        } catch (thrown) {
          cli.note(printable(`${target}: ${toAllianceError(thrown).message}`));
          return undefined;
        }
      }),
    );
    writeRegions(
      cli,
      config.masterRegion,
      found.flatMap((each) => each ?? []),
      format,
    );
    return exitFor(found.map((each) => each !== undefined));
  });
}

/** Those without a prefix first. */
const byTarget = (a: string, b: string): number => {
  const [one, other] = [a, b].map((name) => Number(splitRegion(name).target !== masterTarget));
  return one! - other!;
};

export function addOrphans(group: Command, cli: Cli): void {
  const command = addCommand(group, {
    usage: 'orphans',
    summary: 'list images that a region has and the master has not; changes nothing',
    more: `Of the project that images belong to there: those that are neither by name nor by content in the master, and those that a
sync was sending and has not finished. What is deleted in the master stays in the regions; this is what to look through.
${worldHelp}\nExit code 0: all regions could be looked at, 3: some, 1: none.`,
    examples: ['image orphans other:', 'image orphans Burgos --json'],
  });
  addWorldOptions(command).action((words: string[], options: ImageOptions) =>
    finish(
      cli,
      withWorld(cli, words, options, async (world) => {
        const found = await eachRegion(
          world.regions.map(({ name }) => name),
          (name) => orphansOf(world, name),
        );
        writeOrphans(cli, world.masterName, found, formatOf(cli, options));
        return exitFor(found.map(({ failure }) => failure === null));
      }),
    ),
  );
}

async function orphansOf({ masterListing, list }: ImageWorld, region: string): Promise<RegionOrphans> {
  try {
    const { images, unfinished, projectId } = await list(region);
    const orphans = findOrphans({ master: masterListing.images, listing: images, unfinished, projectId });
    return { region, failure: null, orphans };
  } catch (thrown) {
    return { region, failure: toAllianceError(thrown).message, orphans: [] };
  }
}
