/** What a `glancesync.conf` says, in the words of the section `images` of `alliance.yaml`. */
import { type ConfiguredTarget, type ImagesConfig, masterTarget } from './imagesConfig.ts';

type Settings = Readonly<Record<string, unknown>>;

export interface ImportedSettings {
  /** What differs from the defaults. */
  readonly images: Settings;
  /** Targets whose passwords were left out. */
  readonly withoutPassword: readonly string[];
  /** What has no place there, a sentence each. */
  readonly notes: readonly string[];
}

/** Without what is empty, unset or as it is anyway. */
const withoutEmpty = (settings: Settings): Settings =>
  Object.fromEntries(
    Object.entries(settings).filter(([, value]) => {
      if (value === undefined || value === null) return false;
      return typeof value !== 'object' || Object.keys(value).length > 0;
    }),
  );

export function toSettings(config: ImagesConfig, withPasswords: boolean): ImportedSettings {
  const targets = [...config.targets].map(([name, target]) => [name, targetSettings(target, withPasswords)] as const);
  const images = withoutEmpty({
    master_region: config.masterRegion,
    preferable_order: config.preferableOrder,
    parallel: config.parallel > 1 ? config.parallel : undefined,
    // Target master is there in any case.
    targets: Object.fromEntries(
      targets.filter(([name, settings]) => name !== masterTarget || Object.keys(settings).length > 0),
    ),
  });
  return {
    images,
    withoutPassword: [...config.targets]
      .filter(([, { login }]) => !withPasswords && login.password !== undefined)
      .map(([name]) => name),
    notes: [...config.targets].flatMap(([name, target]) => notesOn(name, target)),
  };
}

function targetSettings(target: ConfiguredTarget, withPasswords: boolean): Settings {
  const { username, password, projectName, authUrl } = target.login;
  const auth = withoutEmpty({
    // Identity v2.0 is gone; v3 is at the same place.
    auth_url: authUrl?.replace(/\/v2\.0\/*$/, '/v3'),
    username,
    password: withPasswords ? password : undefined,
    project_name: projectName,
  });
  return withoutEmpty({
    auth,
    metadata_condition: target.condition?.text,
    metadata_set: [...target.metadataSet],
    forcesyncs: [...target.forceSyncs],
    dontupdate: [...target.dontUpdate],
    replace: [...target.replace],
    rename: [...target.rename],
    only_tenant_images: target.onlyOwnImages ? undefined : false,
    support_obsolete_images: target.supportsObsolete ? undefined : false,
    obsolete_syncprops: [...target.obsoleteProperties],
    ignore_regions: [...target.ignoreRegions],
  });
}

function notesOn(name: string, { tenantId, listTimeoutMs }: ConfiguredTarget): string[] {
  return [
    ...(tenantId === null ? [] : [`${name}: tenant_id is left out: whose images are ours says the login.`]),
    ...(listTimeoutMs === null
      ? []
      : [`${name}: list_images_timeout is left out: a listing takes as long as the service goes on answering.`]),
  ];
}
