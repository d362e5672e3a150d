/** The real world of `alliance image`: regions of this cloud, of targets and of partners. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageClouds, openImageClouds } from '../broker/imageClouds.ts';
import type { Installation } from '../broker/installation.ts';
import { configFileName } from '../core/configFile.ts';
import { readImages, toImage, withVisibilityOfMaster } from '../sync/images/fromStore.ts';
import type { ImagesConfig } from '../sync/images/imagesConfig.ts';
import { isUnfinished } from '../sync/images/marks.ts';
import { type Master, readMaster } from '../sync/images/master.ts';
import {
  chooseRegions,
  expandsTarget,
  fullName,
  masterFrom,
  type Region,
  splitRegion,
  targetFrom,
  targetsOf,
} from '../sync/images/regions.ts';
import type { End } from '../sync/images/syncTypes.ts';
import type { Cli } from './cli.ts';
import { type ImageOptions, readImagesConfig } from './imageOptions.ts';
import { openScenario } from './imageScenario.ts';
import type { ImageWorld, Listing } from './imageWorld.ts';

/** Clouds with nothing listed yet. */
export interface OpenClouds {
  readonly config: ImagesConfig;
  readonly clouds: ImageClouds;
  /** The broker here; absent where the environment and files alone say what there is. */
  readonly installation: Installation | undefined;
}

/** Clouds with the regions that were asked for, and nothing listed yet. */
export interface ChosenRegions extends OpenClouds {
  readonly masterName: string;
  readonly regions: readonly Region[];
}

/** For as long as `work` takes. */
export async function withClouds<T>(
  cli: Cli,
  options: ImageOptions,
  work: (open: OpenClouds) => Promise<T>,
): Promise<T> {
  const run = async (installation?: Installation): Promise<T> => {
    const config = await readImagesConfig(cli, options, installation?.config.images);
    const broker = installation && {
      config: installation.config,
      partners: await installation.store.partners.list(),
      pool: installation.pool,
      clock: installation.clock,
    };
    const clouds = openImageClouds({ config, env: cli.world.env, ...(broker && { broker }) });
    try {
      return await work({ config, clouds, installation });
    } finally {
      await clouds.close();
    }
  };
  // Files and OS_* alone are enough, unless somebody says that there is a broker.
  const isHome = cli.namesHome || existsSync(join(cli.home, configFileName)) || cli.env.ALLIANCE_CLOUD_ID !== undefined;
  return isHome ? cli.open(run) : run();
}

export const withRegions = <T>(
  cli: Cli,
  words: readonly string[],
  options: ImageOptions,
  work: (chosen: ChosenRegions) => Promise<T>,
): Promise<T> =>
  withClouds(cli, options, async (open) => {
    const { config, clouds } = open;
    const source = targetFrom(options.from);
    const fromSource = (await clouds.regions(source)).map(({ name }) => name);
    const masterName = masterFrom(options.from, config, fromSource);
    const others = targetsOf(words).filter((target) => target !== source);
    const known = await Promise.all(others.map((target) => knownOf(target, words, clouds)));
    const partners = new Set(clouds.partners.keys());
    const choice = { config, known: [...fromSource, ...known.flat()], master: masterName, partners };
    return work({ ...open, masterName, regions: chooseRegions(words, choice) });
  });

const withRealWorld = <T>(
  cli: Cli,
  words: readonly string[],
  options: ImageOptions,
  work: (world: ImageWorld) => Promise<T>,
): Promise<T> =>
  withRegions(cli, words, options, async ({ config, clouds, masterName, regions }) => {
    const end = await clouds.source(masterName);
    const masterListing = await listEnd(end);
    const master = readMaster(masterName, masterListing.images, end.projectId);
    return work({
      config,
      compat: options.compat === 'glancesync',
      masterName,
      master,
      masterListing,
      regions,
      list: async (name) => (name === masterName ? masterListing : listEnd(await clouds.destination(name), master)),
    });
  });

/** Of a target that cannot be asked, the regions that are named: each fails by itself, and the others go on. */
async function knownOf(target: string, words: readonly string[], clouds: ImageClouds): Promise<string[]> {
  try {
    return (await clouds.regions(target)).map(({ name }) => name);
  } catch (error) {
    const own = words.filter((word) => splitRegion(word).target === target);
    if (own.length === 0 || own.some(expandsTarget) || clouds.isUnfit(error)) throw error;
    return own.map(fullName);
  }
}

/** @param master for regions whose visibility is not ours to say */
async function listEnd({ store, projectId }: End, master?: Master): Promise<Listing> {
  const stored = [...(await readImages(store)).values()];
  const images = stored.filter((image) => !isUnfinished(image)).map(toImage);
  return {
    images: master && !store.publishes ? withVisibilityOfMaster(images, master, projectId) : images,
    unfinished: stored.filter(isUnfinished).map(toImage),
    projectId,
  };
}

/** A scenario if one is named, else the real world. */
export function withWorld<T>(
  cli: Cli,
  words: readonly string[],
  options: ImageOptions,
  work: (world: ImageWorld) => Promise<T>,
): Promise<T> {
  const { scenario } = options;
  if (scenario === undefined) return withRealWorld(cli, words, options, work);
  return openScenario(cli, words, { ...options, scenario }).then(work);
}
