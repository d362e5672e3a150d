/** A directory of `backup_<region>.csv` files as the world: what the original's tests and backups are made of. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readRegularFile, whyUnread } from '../../core/boundedFile.ts';
import { errnoOf } from '../../core/errno.ts';
import { AllianceError } from '../../core/errors.ts';
import { imageLimits } from '../../core/limits.ts';
import { makeDirectory, writeWhole } from '../../core/wholeFile.ts';
import { formatListing, readListing } from './csv.ts';
import { masterTarget } from './glancesyncConf.ts';
import { compareText, type Image } from './image.ts';
import { fullName } from './regions.ts';

/** Listings by the full name of the region. */
export type World = ReadonlyMap<string, readonly Image[]>;

const fileName = /^backup_(.+)\.csv$/;

/** @throws AllianceError bad_request, naming the file */
export function readScenario(directory: string): World {
  const unfit = (details: string): AllianceError => new AllianceError('bad_request', { field: '--scenario', details });
  let files: string[];
  try {
    files = readdirSync(directory).sort(compareText);
  } catch (error) {
    throw unfit(`${directory} cannot be read (${errnoOf(error)}).`);
  }
  const world = new Map<string, readonly Image[]>();
  for (const file of files) {
    const name = fileName.exec(file)?.[1];
    if (name === undefined) continue;
    if (world.has(fullName(name))) throw unfit(`${file}: there are several files of this region.`);
    try {
      world.set(fullName(name), readListing(readRegularFile(join(directory, file), imageLimits.scenarioBytes).text));
    } catch (error) {
      throw unfit(
        `${file}: ${error instanceof AllianceError ? error.details : `it cannot be read (${whyUnread(error)}).`}`,
      );
    }
  }
  if (world.size === 0) throw unfit(`${directory} has no files named backup_REGION.csv.`);
  return world;
}

export const listingFile = (region: string): string => `backup_${region}.csv`;

/** Where a region has a file with the prefix of the master's target, a second one would be too many. */
function fileIn(directory: string, region: string): string {
  const prefixed = listingFile(`${masterTarget}:${region}`);
  return existsSync(join(directory, prefixed)) ? prefixed : listingFile(region);
}

/** Each file whole or not at all; makes the directory where there is none. */
export function writeListings(directory: string, listings: World): void {
  makeDirectory(directory);
  for (const [region, listing] of listings)
    writeWhole(join(directory, fileIn(directory, region)), formatListing(region, listing), 0o644);
}
