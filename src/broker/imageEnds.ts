/** What a sync of this broker works between: regions by the words of commands, opened. */
import { type AllianceError, toAllianceError } from '../core/errors.ts';
import type { ImageStore } from '../lproxy/imageStore.ts';
import { compileCondition } from '../sync/images/condition.ts';
import type { ImagesConfig } from '../sync/images/imagesConfig.ts';
import { imagesConfigOf } from '../sync/images/imagesSettings.ts';
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
import type { End, RegionEnd } from '../sync/images/syncTypes.ts';
import { type ImageClouds, openImageClouds, withPartnerNames } from './imageClouds.ts';
import type { Installation } from './installation.ts';

export interface EndsQuery {
  /** `cloud` or `cloud:region`; null: the configured master region. */
  readonly from: string | null;
  /** As on the command line; none: all regions of this cloud. */
  readonly words: readonly string[];
  /** Instead of that of the targets. */
  readonly condition: string | null;
}

export interface ImageEnds {
  readonly config: ImagesConfig;
  readonly master: End;
  /** Where one cannot be opened, its store says why, whatever is asked of it. */
  readonly regions: readonly RegionEnd[];
  close(): Promise<void>;
}

/** `images` of alliance.yaml, which a policy or REST works by. */
export const openConfiguredClouds = async (
  { config, env, store, pool, clock }: Installation,
  images: ImagesConfig,
): Promise<ImageClouds> =>
  openImageClouds({ config: images, env, broker: { config, partners: await store.partners.list(), pool, clock } });

/** @throws AllianceError bad_request (field `region`), configuration, those of Keystone and of a partner */
export async function openImageEnds(installation: Installation, query: EndsQuery): Promise<ImageEnds> {
  const config = imagesConfigOf(installation.config.images, {
    env: installation.env,
    homeRegion: installation.config.keystone.region,
  });
  const clouds = await openConfiguredClouds(installation, config);
  try {
    return await choose(clouds, config, query);
  } catch (error) {
    await clouds.close();
    throw error;
  }
}

async function choose(clouds: ImageClouds, config: ImagesConfig, query: EndsQuery): Promise<ImageEnds> {
  const { master, regions: chosen } = await regionsFor(clouds, config, query);
  const condition = query.condition === null ? undefined : compileCondition(query.condition);
  const rules = chosen.map(({ name, target }): Region => {
    return { name, target: condition === undefined ? target : { ...target, condition } };
  });
  return { config, ...(await openRegions(clouds, master, rules)), close: () => clouds.close() };
}

export interface ChosenRegions {
  /** Full name of the region that images come from. */
  readonly master: string;
  readonly regions: readonly Region[];
}

/** What words mean, by what there is. @throws as openImageEnds */
export async function regionsFor(
  clouds: ImageClouds,
  config: ImagesConfig,
  { words, ...query }: Pick<EndsQuery, 'from' | 'words'>,
): Promise<ChosenRegions> {
  const from = query.from ?? undefined;
  const source = targetFrom(from);
  const fromSource = (await clouds.regions(source)).map(({ name }) => name);
  const master = masterFrom(from, config, fromSource);
  const others = targetsOf(words).filter((target) => target !== source);
  const known = await Promise.all(others.map((target) => regionsOf(target, words, clouds)));
  const partners = new Set(clouds.partners.keys());
  const rules = withPartnerNames(config, clouds.partners.values());
  const choice = { config: rules, known: [...fromSource, ...known.flat()], master, partners };
  return { master, regions: chooseRegions(words, choice) };
}

/** Stores of them; the region that images come from gets none, whatever it is called among the others. */
export async function openRegions(
  clouds: ImageClouds,
  master: string,
  chosen: readonly Region[],
): Promise<Pick<ImageEnds, 'master' | 'regions'>> {
  const source = await clouds.source(master);
  const regions = await Promise.all(
    chosen.map(async ({ name, target }) => ({ ...(await endOrWhyNot(clouds, name)), target })),
  );
  return { master: source, regions: regions.filter(({ key }) => key !== source.key) };
}

/** Of a cloud that cannot be asked now, those that are named: each of them fails, and those of other clouds go on. */
async function regionsOf(target: string, words: readonly string[], clouds: ImageClouds): Promise<string[]> {
  try {
    return (await clouds.regions(target)).map(({ name }) => name);
  } catch (error) {
    const own = words.filter((word) => splitRegion(word).target === target);
    if (isUnfit(error) || own.some(expandsTarget)) throw error;
    return own.map(fullName);
  }
}

/** A mistake in what was asked for, and nothing that fails by itself. */
const isUnfit = (thrown: unknown): boolean => {
  const { errorName, remote } = toAllianceError(thrown);
  return !remote && ['bad_request', 'configuration', 'internal'].includes(errorName);
};

async function endOrWhyNot(clouds: ImageClouds, name: string): Promise<End> {
  try {
    return await clouds.destination(name);
  } catch (error) {
    if (isUnfit(error)) throw error;
    return { name, key: `unopened ${name}`, store: failingStore(name, toAllianceError(error)), projectId: '' };
  }
}

function failingStore(label: string, error: AllianceError): ImageStore {
  const fail = async (): Promise<never> => {
    throw error;
  };
  const failing = (): AsyncIterable<never> => ({ [Symbol.asyncIterator]: () => ({ next: fail }) });
  const common = { get: fail, members: fail, addMember: fail, create: fail, write: fail, update: fail, delete: fail };
  return { ...common, label, publishes: true, list: failing, read: failing, close: async () => undefined };
}
