/** A scenario as the world, and a sync that rewrites it. */
import { applyPlan } from '../sync/images/apply.ts';
import { readMaster } from '../sync/images/master.ts';
import { chooseRegions, masterFrom, splitRegion } from '../sync/images/regions.ts';
import {
  type World as Listings,
  readScenario,
  refuseListingsIn,
  scenarioProject,
  writeListings,
} from '../sync/images/scenario.ts';
import type { Cli } from './cli.ts';
import { type ImageOptions, readImagesConfig } from './imageOptions.ts';
import {
  exitAfter,
  exitForPlans,
  type ImageWorld,
  isInSync,
  type Listing,
  type Planned,
  planAll,
  planOf,
} from './imageWorld.ts';

export interface ScenarioWorld extends ImageWorld {
  readonly listings: Listings;
  /** By the name of a region: whom images belong to that are sent there. */
  readonly owners: ReadonlyMap<string, string>;
}

type ScenarioOptions = ImageOptions & { readonly scenario: string };

export async function openScenario(
  cli: Cli,
  words: readonly string[],
  options: ScenarioOptions,
): Promise<ScenarioWorld> {
  const config = await readImagesConfig(cli, options);
  const listings = readScenario(options.scenario);
  const known = [...listings.keys()];
  const masterName = masterFrom(options.from, config, known);
  const compat = options.compat === 'glancesync';
  const projectOf = (name: string) => {
    const { target } = splitRegion(name);
    return scenarioProject(target, config.targets.get(target) ?? config.others, { env: cli.world.env, compat });
  };
  const list = (name: string): Listing => ({
    images: listings.get(name) ?? [],
    unfinished: [],
    projectId: projectOf(name).projectId,
  });
  const masterListing = list(masterName);
  const regions = chooseRegions(words, { config, known, master: masterName });
  // What is missing in the configuration is missing before anything is printed.
  const owners = new Map(regions.map(({ name }) => [name, projectOf(name).owner]));
  return {
    config,
    compat,
    masterName,
    master: readMaster(masterName, masterListing.images, masterListing.projectId),
    masterListing,
    regions,
    list: async (name) => list(name),
    listings,
    owners,
  };
}

export interface ScenarioSync {
  readonly world: ScenarioWorld;
  readonly planned: readonly Planned[];
  readonly inSync: boolean;
  readonly code: number;
}

interface ScenarioSyncOptions extends ScenarioOptions {
  readonly dryRun: boolean;
  readonly scenarioOut?: string;
}

/** Rewrites the regions that change, or writes all of them elsewhere. */
export async function syncScenario(
  cli: Cli,
  words: readonly string[],
  options: ScenarioSyncOptions,
): Promise<ScenarioSync> {
  const { dryRun, scenario, scenarioOut } = options;
  const out = scenarioOut !== undefined;
  const place = { directory: scenarioOut ?? scenario, field: out ? '--scenario-out' : '--scenario' };
  if (out) refuseListingsIn(place, scenario);
  const world = await openScenario(cli, words, options);
  if (dryRun) {
    const planned = await planAll(world);
    return { world, planned, inSync: planned.every(({ plan }) => isInSync(plan)), code: exitForPlans(planned) };
  }
  const { planned, listings } = await carryOut(world);
  const changed = new Set(planned.filter(({ plan }) => plan.actions.length > 0).map(({ region }) => region.name));
  writeListings(place, out ? listings : new Map([...listings].filter(([name]) => changed.has(name))));
  const after = await Promise.all(
    world.regions.map(async (region) => {
      const { projectId } = await world.list(region.name);
      return planOf(world, region, { images: listings.get(region.name) ?? [], projectId });
    }),
  );
  return { world, planned, inSync: after.every(isInSync), code: exitAfter(after) };
}

/** One region after the other, each as those before have left the world. */
async function carryOut(world: ScenarioWorld) {
  const { master, owners } = world;
  const listings = new Map(world.listings);
  const planned: Planned[] = [];
  for (const region of world.regions) {
    const { projectId } = await world.list(region.name);
    const listing = listings.get(region.name) ?? [];
    const plan = planOf(world, region, { images: listing, projectId });
    const owner = owners.get(region.name)!;
    listings.set(region.name, applyPlan({ master, listing, actions: plan.actions, owner }));
    planned.push({ region, plan });
  }
  return { planned, listings };
}
