/** The real world of `alliance image`: regions of this cloud, of targets and of partners. */
import { type ImageClouds, openImageClouds } from '../broker/imageClouds.ts';
import { type ChosenRegions, regionsFor } from '../broker/imageEnds.ts';
import type { Installation } from '../broker/installation.ts';
import { readImages, toImage, withVisibilityOfMaster } from '../sync/images/fromStore.ts';
import type { ImagesConfig } from '../sync/images/imagesConfig.ts';
import { isUnfinished } from '../sync/images/marks.ts';
import { type Master, readMaster } from '../sync/images/master.ts';
import type { End } from '../sync/images/syncTypes.ts';
import type { Cli } from './cli.ts';
import { hasHome } from './executionStore.ts';
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

/** The same with the regions that were asked for, and nothing listed yet. */
export interface OpenRegions extends OpenClouds, ChosenRegions {}

/** For as long as `work` takes. */
export async function withClouds<T>(
  cli: Cli,
  options: ImageOptions,
  work: (open: OpenClouds) => Promise<T>,
): Promise<T> {
  const run = async (installation?: Installation): Promise<T> => {
    const config = await readImagesConfig(cli, options, installation?.config);
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
  return hasHome(cli) ? cli.open(run) : run();
}

export const withRegions = <T>(
  cli: Cli,
  words: readonly string[],
  options: ImageOptions,
  work: (open: OpenRegions) => Promise<T>,
): Promise<T> =>
  withClouds(cli, options, async (open) => {
    const chosen = await regionsFor(open.clouds, open.config, { from: options.from ?? null, words });
    return work({ ...open, ...chosen });
  });

const withRealWorld = <T>(
  cli: Cli,
  words: readonly string[],
  options: ImageOptions,
  work: (world: ImageWorld) => Promise<T>,
): Promise<T> =>
  withRegions(cli, words, options, async ({ config, clouds, master: masterName, regions }) => {
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
