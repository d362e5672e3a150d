/** A `glancesync.conf`: regions, and what is configured for each target. Passwords in it are not looked at. */
import { AllianceError } from '../../core/errors.ts';
import { compileCondition } from './condition.ts';
import { type IniSection, type Override, parseIniFile } from './iniFile.ts';
import type { Target } from './target.ts';

export interface ConfiguredTarget extends Target {
  /** Not synchronised unless they are named. */
  readonly ignoreRegions: ReadonlySet<string>;
  /** Id of the project whose images are ours there. */
  readonly projectId: string;
  /** Whom images belong to that are sent there. */
  readonly owner: string;
}

export interface GlancesyncConfig {
  readonly masterRegion: string;
  /** Regions that come first where the order is not given. */
  readonly preferableOrder: readonly string[];
  /** By name; `master` is the one whose regions need no prefix. */
  readonly targets: ReadonlyMap<string, ConfiguredTarget>;
}

export interface ConfOptions {
  /** `OS_REGION_NAME`, `OS_TENANT_NAME` and `OS_PROJECT_NAME` stand in for what the file does not say. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly compat: boolean;
  /** `key=value` for all targets, `section.key=value` for one, before what the file says. */
  readonly overrides?: readonly string[];
}

export const masterTarget = 'master';

const problem = (section: string, option: string, details: string): AllianceError =>
  new AllianceError('bad_request', { field: `${section}.${option}`, details: `[${section}] ${option}: ${details}` });

/** @throws AllianceError bad_request, naming section and option, or the line */
export function readGlancesyncConf(text: string, options: ConfOptions): GlancesyncConfig {
  const { sections, defaults } = parseIniFile(text, readOverrides(text, options.overrides ?? []));
  const main = sections.get('main') ?? defaults;
  const masterRegion = main.get('master_region') ?? options.env.OS_REGION_NAME ?? '';
  if (masterRegion === '') throw problem('main', 'master_region', 'it is missing, and OS_REGION_NAME is not set.');
  const named = [...sections].filter(([name]) => name !== 'main');
  const all = sections.has(masterTarget) ? named : [[masterTarget, defaults] as const, ...named];
  const targets = new Map(all.map(([name, section]) => [name, readTarget(name, section, options)] as const));
  return { masterRegion, preferableOrder: listOf(main.get('preferable_order')), targets };
}

function readOverrides(text: string, words: readonly string[]): Override[] {
  const known = new Set(['main', masterTarget, ...parseIniFile(text).sections.keys()]);
  return words.map((word) => {
    const found = /^(?:([^.=]+)\.)?([^=]+)=([\s\S]*)$/.exec(word);
    const unfit = (details: string): AllianceError => new AllianceError('bad_request', { field: '--config', details });
    if (!found) throw unfit('An override is written key=value or section.key=value.');
    const [, section = null, key = '', value = ''] = found;
    if (section !== null && !known.has(section)) throw unfit(`There is no section "${section}" in the configuration.`);
    return { section, key: key.trim(), value: value.trim() };
  });
}

const listOf = (text = ''): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

const words = new Map([
  ...['1', 'yes', 'true', 'on'].map((word) => [word, true] as const),
  ...['0', 'no', 'false', 'off'].map((word) => [word, false] as const),
]);

function readTarget(name: string, section: IniSection, options: ConfOptions): ConfiguredTarget {
  const set = (option: string): ReadonlySet<string> => new Set(listOf(section.get(option)));
  const flag = (option: string): boolean => {
    const value = words.get((section.get(option) ?? 'true').toLowerCase());
    if (value === undefined) throw problem(name, option, 'it must be True or False.');
    return value;
  };
  const tenant = tenantOf(name, section, options);
  const projectId = section.get('tenant_id') || `${tenant}id`;
  return {
    condition: conditionOf(name, section.get('metadata_condition') ?? ''),
    metadataSet: set('metadata_set'),
    forceSyncs: set('forcesyncs'),
    replace: set('replace'),
    rename: set('rename'),
    dontUpdate: set('dontupdate'),
    obsoleteProperties: set('obsolete_syncprops'),
    supportsObsolete: flag('support_obsolete_images'),
    onlyOwnImages: flag('only_tenant_images'),
    ignoreRegions: set('ignore_regions'),
    projectId,
    // The original's images of a tenant with an id of its own do not belong to it.
    owner: options.compat ? `${tenant}id` : projectId,
  };
}

function conditionOf(name: string, text: string): Target['condition'] {
  if (text === '' || text === "''") return null;
  try {
    return compileCondition(text);
  } catch (error) {
    throw error instanceof AllianceError ? problem(name, 'metadata_condition', error.details ?? '') : error;
  }
}

/** What the original takes for one login; with less of it, it looks at none of these. */
const login = ['user', 'password', 'tenant', 'keystone_url'];

function tenantOf(name: string, section: IniSection, { env, compat }: ConfOptions): string {
  const whole = login.every((option) => section.has(option));
  const named = whole || !compat ? section.get('tenant') : undefined;
  const [, , , inCredential] = listOf(section.get('credential'));
  const fromEnv = name === masterTarget ? env.OS_TENANT_NAME || (compat ? undefined : env.OS_PROJECT_NAME) : undefined;
  const tenant = named || inCredential || fromEnv;
  if (tenant) return tenant;
  if (section.get('tenant_id') && !compat) return '';
  throw problem(
    name,
    'tenant',
    'it is not known from tenant, credential or OS_TENANT_NAME (the last for master only).',
  );
}
