/** The section `images` of `alliance.yaml`, as a sync works by it. */
import type { ImagesSettings, ImageTargetSettings } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import { loginOf, readOverrides } from './glancesyncConf.ts';
import {
  type Complain,
  type ConfiguredTarget,
  type ImagesConfig,
  listOf,
  masterTarget,
  readRules,
} from './imagesConfig.ts';

export interface SettingsOptions {
  /** `OS_REGION_NAME` stands in for a `master_region` that the file does not have. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `keystone.region`, which stands in for both. */
  readonly homeRegion?: string | undefined;
  /** As for `glancesync.conf`, in its names. */
  readonly overrides?: readonly string[];
}

const problem: Complain = (section, option, details) => {
  const field = `images.targets.${section}.${option}`;
  return new AllianceError('configuration', { field, details: `${field}: ${details}` });
};

/** Whether the section says anything of regions and targets. */
export const saysImages = ({ masterRegion, targets }: ImagesSettings): boolean =>
  masterRegion !== undefined || targets.size > 0;

/** @throws AllianceError configuration, naming the key; bad_request of overrides */
export function imagesConfigOf(
  settings: ImagesSettings,
  { env, homeRegion, overrides = [] }: SettingsOptions,
): ImagesConfig {
  const over = readOverrides(overrides, settings.targets.keys());
  const above = (section: string | null): [string, string][] =>
    over.filter((each) => each.section === section).map(({ key, value }) => [key.toLowerCase(), value]);
  const defaults = above(null);
  const main = new Map([...defaults, ...above('main')]);
  const read = (name: string, target: ImageTargetSettings | undefined): ConfiguredTarget => {
    // What a target says itself comes before an override of all targets, as in glancesync.conf.
    const section = new Map([...defaults, ...(target ? optionsOf(target) : []), ...above(name)]);
    const own = new Map(above(name));
    // What is said of all targets would be a login for partners, too.
    const login = { ...(target ? keysOf(target) : {}), ...loginOf(name, own, false) };
    return { ...readRules(name, section, problem), login, tenantId: own.get('tenant_id') ?? null };
  };
  const names = new Set([masterTarget, ...settings.targets.keys()]);
  return {
    masterRegion: main.get('master_region') || settings.masterRegion || env.OS_REGION_NAME || homeRegion || null,
    preferableOrder: main.has('preferable_order') ? listOf(main.get('preferable_order')) : settings.preferableOrder,
    targets: new Map([...names].map((name) => [name, read(name, settings.targets.get(name))] as const)),
    others: read('DEFAULT', undefined),
    parallel: settings.parallel,
    bwlimit: settings.bwlimit ?? null,
  };
}

/** Only what differs from how it is when nothing is said, so that overrides of all targets reach the rest. */
function optionsOf(target: ImageTargetSettings): [string, string][] {
  const lists: Readonly<Record<string, readonly string[]>> = {
    metadata_set: target.metadataSet,
    forcesyncs: target.forcesyncs,
    dontupdate: target.dontupdate,
    replace: target.replace,
    rename: target.rename,
    obsolete_syncprops: target.obsoleteSyncprops,
    ignore_regions: target.ignoreRegions,
  };
  const section: [string, string][] = Object.entries(lists).map(([option, items]) => [option, items.join(',')]);
  section.push(['metadata_condition', target.metadataCondition ?? '']);
  if (!target.onlyTenantImages) section.push(['only_tenant_images', 'False']);
  if (!target.supportObsoleteImages) section.push(['support_obsolete_images', 'False']);
  return section.filter(([, value]) => value !== '');
}

/** Without the names of files, whose content is there already. */
function keysOf({ auth }: ImageTargetSettings): ConfiguredTarget['login'] {
  const { passwordFile: _password, applicationCredentialSecretFile: _secret, ...login } = auth;
  return Object.fromEntries(Object.entries(login).filter(([, value]) => value !== undefined));
}
