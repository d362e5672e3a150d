/** A directory of `backup_<region>.csv` files as the world: what the original's tests and backups are made of. */
import { isUtf8 } from 'node:buffer';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { readRegularBytes, whyUnread } from '../../core/boundedFile.ts';
import { errnoOf } from '../../core/errno.ts';
import { AllianceError } from '../../core/errors.ts';
import { imageLimits } from '../../core/limits.ts';
import { makeDirectory, rewriteWhole } from '../../core/wholeFile.ts';
import { formatListing, readListing } from './csv.ts';
import { compareText, type Image } from './image.ts';
import { type ConfiguredTarget, masterTarget } from './imagesConfig.ts';
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
      world.set(
        fullName(name),
        readListing(textOf(readRegularBytes(join(directory, file), imageLimits.scenarioBytes).bytes)),
      );
    } catch (error) {
      throw unfit(
        `${file}: ${error instanceof AllianceError ? error.details : `it cannot be read (${whyUnread(error)}).`}`,
      );
    }
  }
  if (world.size === 0) throw unfit(`${directory} has no files named backup_REGION.csv.`);
  return world;
}

/** What is no text would be written back as something else. */
function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let line = 1;
  for (let from = 0; ; line += 1) {
    const end = bytes.indexOf(0x0a, from);
    if (end < 0 || !isUtf8(bytes.subarray(from, end))) break;
    from = end + 1;
  }
  throw new AllianceError('bad_request', { details: `Line ${line}: it is no text in UTF-8.` });
}

/** Names of regions come from catalogs, and lead to no other directory. */
export const listingFile = (region: string): string =>
  `backup_${region.replace(/[/\\\0]/g, (character) => encodeURIComponent(character))}.csv`;

/** Where a region has a file with the prefix of the master's target, a second one would be too many. */
function fileIn(directory: string, region: string): string {
  const prefixed = listingFile(`${masterTarget}:${region}`);
  return existsSync(join(directory, prefixed)) ? prefixed : listingFile(region);
}

/** Where listings are written, and the option that says so. */
export interface Place {
  readonly directory: string;
  readonly field: string;
}

/**
 * Files of an earlier run, or of somebody else, are not written over, and not mixed with.
 *
 * @param same a scenario whose own directory the place may be
 * @throws AllianceError bad_request
 */
export function refuseListingsIn({ directory, field }: Place, same?: string): void {
  if (!existsSync(directory) || (same !== undefined && realpathSync(directory) === realpathSync(same))) return;
  const there = writing({ directory, field }, () => readdirSync(directory).find((file) => fileName.test(file)));
  if (there === undefined) return;
  throw new AllianceError('bad_request', { field, details: `${directory} has listings already, such as ${there}.` });
}

/** Each file whole or not at all; makes the directory where there is none. Files that are there keep mode and owner. */
export function writeListings(place: Place, listings: World): void {
  const { directory } = place;
  writing(place, () => {
    makeDirectory(directory);
    for (const [region, listing] of listings)
      rewriteWhole(join(directory, fileIn(directory, region)), formatListing(region, listing), 0o644);
  });
}

function writing<T>({ directory, field }: Place, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const details = `${field}: ${directory} (${errnoOf(cause)}).`;
    throw new AllianceError('file_not_written', { field, cause, details });
  }
}

export interface ScenarioProject {
  /** Id of the project whose images are ours. */
  readonly projectId: string;
  /** Whom images belong to that are sent there. */
  readonly owner: string;
}

/**
 * Where nobody logs in, the id of a project is its name with `id` behind it, as in the original.
 *
 * @throws AllianceError bad_request where the project is not known
 */
export function scenarioProject(
  name: string,
  { login, tenantId }: ConfiguredTarget,
  { env, compat }: { readonly env: Readonly<Record<string, string | undefined>>; readonly compat: boolean },
): ScenarioProject {
  const fromEnv = name === masterTarget ? env.OS_TENANT_NAME || (compat ? undefined : env.OS_PROJECT_NAME) : undefined;
  const tenant = login.projectName ?? fromEnv ?? (tenantId !== null && !compat ? '' : undefined);
  if (tenant === undefined)
    throw new AllianceError('bad_request', {
      field: `${name}.tenant`,
      details: `[${name}] tenant: it is not known from tenant, credential or OS_PROJECT_NAME (the last for ${masterTarget} only).`,
    });
  const projectId = tenantId ?? `${tenant}id`;
  // The original's images of a tenant with an id of its own do not belong to it.
  return { projectId, owner: compat ? `${tenant}id` : projectId };
}
