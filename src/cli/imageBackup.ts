/** `alliance image backup` */
import type { Command } from 'commander';
import { toAllianceError } from '../core/errors.ts';
import type { Image } from '../sync/images/image.ts';
import { listingFile, refuseListingsIn, writeListings } from '../sync/images/scenario.ts';
import type { Cli } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { addWorldOptions, formatOf, type ImageOptions, worldHelp } from './imageOptions.ts';
import { withWorld } from './imageReal.ts';
import { reportFiles } from './imageView.ts';
import { eachRegion, exitFor, type ImageWorld } from './imageWorld.ts';
import { printable } from './text.ts';

interface BackupOptions extends ImageOptions {
  readonly to?: string;
}

export function addBackup(group: Command, cli: Cli): void {
  const command = addCommand(group, {
    usage: 'backup',
    summary: 'write the listings of the regions and of the master, as CSV files that are a scenario',
    more: `Listings, not contents. ${worldHelp}\nExit code 0: all were written, 3: some, 1: none.`,
    examples: ['image backup other: --to SAVED', 'image backup Burgos --scenario DIR'],
  });
  addWorldOptions(command)
    .option('--to <dir>', 'where to: one without listings (default: backup_glance_TIME here)')
    .action((words: string[], options: BackupOptions) => {
      const directory = options.to ?? `backup_glance_${new Date().toISOString().replace(/Z$/, '')}`;
      const place = { directory, field: '--to' };
      const write = async (world: ImageWorld): Promise<number> => {
        const names = [...new Set([world.masterName, ...world.regions.map(({ name }) => name)])];
        const listed = await eachRegion(names, (name) => listingOf(cli, world, name));
        const listings = new Map(listed.flatMap((each) => (each ? [each] : [])));
        writeListings(place, listings);
        const files = [...listings].map(([region, images]) => ({
          region,
          file: listingFile(region),
          images: images.length,
        }));
        reportFiles(cli, directory, files, formatOf(cli, options));
        return exitFor(listed.map((each) => each !== undefined));
      };
      return finish(
        cli,
        (async () => {
          refuseListingsIn(place);
          return withWorld(cli, words, options, write);
        })(),
      );
    });
}

/** Undefined where the region cannot be listed, which is told. */
async function listingOf(
  cli: Cli,
  { masterName, masterListing, list }: ImageWorld,
  name: string,
): Promise<readonly [string, readonly Image[]] | undefined> {
  try {
    const { images, unfinished } = name === masterName ? masterListing : await list(name);
    return [name, [...images, ...unfinished]];
  } catch (thrown) {
    cli.note(printable(`${name}: not listed. ${toAllianceError(thrown).message}`));
    return undefined;
  }
}
