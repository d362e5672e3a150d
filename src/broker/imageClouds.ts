/**
 * The clouds that images flow between: this one, targets with a Keystone of their own, and partners; which regions they have, and a
 * store for each. Catalogs decide which regions there are.
 */
import type { ClientPool } from '../client/pool.ts';
import type { Clock } from '../core/clock.ts';
import type { Config } from '../core/config.ts';
import { AllianceError } from '../core/errors.ts';
import { resolveTarget } from '../lproxy/credentials.ts';
import { createGlanceRegions, type GlanceRegions } from '../lproxy/glanceRegions.ts';
import type { Partner } from '../model/partner.ts';
import { effectiveState } from '../model/trust.ts';
import { endpoints } from '../rproxy/endpoints.ts';
import { partnerImages } from '../rproxy/images.ts';
import { type ConfiguredTarget, type ImagesConfig, masterTarget } from '../sync/images/imagesConfig.ts';
import { placeOf } from '../sync/images/place.ts';
import { joinRegion, splitRegion } from '../sync/images/regions.ts';
import type { End } from '../sync/images/syncTypes.ts';
import { ofNobody, withListTimeout } from './imageListing.ts';

export interface ImageCloudsOptions {
  readonly config: ImagesConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The broker here; absent where there is none, and then there are no partners. */
  readonly broker?: {
    readonly config: Pick<Config, 'keystone'>;
    readonly partners: readonly Partner[];
    readonly pool: ClientPool;
    readonly clock: Clock;
  };
}

export interface CloudRegion {
  /** As commands name it: `R`, `other:R`, `east:R`. */
  readonly name: string;
  readonly kind: 'keystone' | 'partner';
  /** Image endpoints that it has. */
  readonly endpoints: number;
}

/** Whether images come from there or go there. */
type EndRole = 'source' | 'destination';

/** A partner goes by its cloud_id and by its name here; what is said of one of them holds for both. */
export function withPartnerNames(config: ImagesConfig, partners: Iterable<Partner>): ImagesConfig {
  const targets = new Map(config.targets);
  for (const { name, cloudId } of partners) {
    const rules = config.targets.get(name) ?? config.targets.get(cloudId);
    for (const each of rules ? [name, cloudId] : []) if (!targets.has(each)) targets.set(each, rules!);
  }
  return { ...config, targets };
}

/** One that has regions: a Keystone, or a partner. */
interface Cloud {
  regions(): Promise<readonly CloudRegion[]>;
  end(region: string, role: EndRole): Promise<End>;
  close(): Promise<void>;
}

export interface ImageClouds {
  /** By cloud_id and by name: those that may be targets without being configured. */
  readonly partners: ReadonlyMap<string, Partner>;
  /**
   * Regions with images, in the order of the catalog.
   *
   * @param target `master`, the name of a target, or a partner's
   * @throws AllianceError bad_request where there is none of that name, or a target and a partner have it; configuration where a target
   * has no login
   */
  regions(target: string): Promise<readonly CloudRegion[]>;
  /** @param name as commands have it */
  source(name: string): Promise<End>;
  destination(name: string): Promise<End>;
  close(): Promise<void>;
}

export function openImageClouds({ config: said, env, broker }: ImageCloudsOptions): ImageClouds {
  const config = withPartnerNames(said, broker?.partners ?? []);
  const partners = new Map(
    (broker?.partners ?? []).flatMap((each) => [[each.name, each] as const, [each.cloudId, each]]),
  );
  const clouds = new Map<string, Cloud>();

  function open(target: string): Cloud {
    const partner = partners.get(target);
    const configured = config.targets.get(target);
    const hasLogin = configured !== undefined && Object.keys(configured.login).length > 0;
    if (partner && target !== masterTarget) {
      if (hasLogin) throw ambiguous(target);
      return partnerCloud(target, partner, broker!, configured ?? config.others);
    }
    if (target !== masterTarget && !configured) throw unknown(target);
    if (target !== masterTarget && !hasLogin) throw withoutLogin(target);
    const rules = configured ?? config.others;
    const { tenantId, login } = rules;
    const keys = tenantId !== null && login.projectName === undefined ? { ...login, projectId: tenantId } : login;
    const keystone = broker?.config.keystone ?? {};
    const { region: _region, ...settings } = resolveTarget({
      name: target,
      keys,
      keystone,
      here: target === masterTarget,
      env,
    });
    const label = target === masterTarget ? {} : { label: target };
    return keystoneCloud(target, createGlanceRegions({ ...settings, ...label }), rules);
  }

  function cloudOf(target: string): Cloud {
    const found = clouds.get(target) ?? open(target);
    clouds.set(target, found);
    return found;
  }

  async function endOf(name: string, role: EndRole): Promise<End> {
    const { target, region } = splitRegion(name);
    return cloudOf(target).end(region, role);
  }

  return {
    partners,
    regions: async (target) => cloudOf(target).regions(),
    source: async (name) => endOf(name, 'source'),
    destination: async (name) => endOf(name, 'destination'),
    close: async () => {
      await Promise.all([...clouds.values()].map((cloud) => cloud.close()));
    },
  };
}

const unfit = (details: string): AllianceError => new AllianceError('bad_request', { field: 'region', details });

const ambiguous = (name: string): AllianceError =>
  unfit(`"${name}" is a target with a login of its own and a partner, too: give the target another name.`);
const unknown = (name: string): AllianceError =>
  unfit(`There is no target "${name}" in the configuration, and no partner of that name.`);
const withoutLogin = (name: string): AllianceError =>
  new AllianceError('configuration', {
    field: `${name}.auth`,
    details: `Target "${name}" has no login (user, password, tenant, keystone_url; in alliance.yaml images.targets.${name}.auth), and is no partner.`,
  });

/** One with a colon in it would be taken for that of another target. */
function canBeNamed(target: string, region: string): boolean {
  const read = splitRegion(joinRegion(target, region));
  return read.target === target && read.region === region;
}

function keystoneCloud(target: string, glances: GlanceRegions, rules: ConfiguredTarget): Cloud {
  return {
    async regions() {
      const names = await glances.regions();
      return names
        .filter((region) => canBeNamed(target, region))
        .map((region) => ({ name: joinRegion(target, region), kind: 'keystone', endpoints: 1 }));
    },
    async end(region) {
      const [store, projectId] = [await glances.store(region), await glances.projectId()];
      const key = `glance ${placeOf(await glances.endpoint(region))} ${projectId}`;
      return { name: joinRegion(target, region), key, store: withListTimeout(store, rules.listTimeoutMs), projectId };
    },
    close: () => glances.close(),
  };
}

/** What the partner exports says which regions it has; a region that is called nothing is the one beside its broker. */
function partnerCloud(
  target: string,
  partner: Partner,
  { pool, clock }: NonNullable<ImageCloudsOptions['broker']>,
  rules: ConfiguredTarget,
): Cloud {
  const assertActive = (): void => {
    const state = effectiveState(partner, clock.now());
    if (state !== 'active') throw unfit(`Partner ${partner.cloudId} is ${state}.`);
  };
  return {
    async regions() {
      assertActive();
      const counts = new Map<string, number>();
      for (const { region } of await endpoints(pool, partner, { type: 'image' }))
        if (region && canBeNamed(target, region)) counts.set(region, (counts.get(region) ?? 0) + 1);
      return [...counts].map(([region, count]) => ({
        name: joinRegion(target, region),
        kind: 'partner',
        endpoints: count,
      }));
    },
    async end(region, role) {
      assertActive();
      const store = partnerImages(pool, partner, { region });
      const key = `partner ${partner.cloudId} ${region}`;
      const bounded = withListTimeout(store, rules.listTimeoutMs);
      // Whose the images are there says its configuration, which shows us those that it means to give.
      const ends = role === 'source' ? ofNobody(bounded) : bounded;
      return { name: joinRegion(target, region), key, store: ends, projectId: '' };
    },
    close: async () => undefined,
  };
}
