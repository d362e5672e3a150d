/** A `glancesync.conf`: regions, what is configured for each target, and how to log in to its Keystone. */
import { AllianceError } from '../../core/errors.ts';
import { imageLimits } from '../../core/limits.ts';
import type { TargetKeys } from '../../lproxy/credentials.ts';
import {
  type Complain,
  type ConfiguredTarget,
  type ImagesConfig,
  listOf,
  masterTarget,
  readRules,
  wholeNumber,
} from './imagesConfig.ts';
import { type IniSection, type Override, parseIniFile } from './iniFile.ts';

export interface ConfOptions {
  /** `OS_REGION_NAME` stands in for a `master_region` that the file does not have. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly compat: boolean;
  /** `key=value` for all targets, `section.key=value` for one, before what the file says. */
  readonly overrides?: readonly string[];
}

const problem: Complain = (section, option, details) =>
  new AllianceError('bad_request', { field: `${section}.${option}`, details: `[${section}] ${option}: ${details}` });

/** @throws AllianceError bad_request, naming section and option, or the line */
export function readGlancesyncConf(text: string, options: ConfOptions): ImagesConfig {
  const known = parseIniFile(text).sections.keys();
  const { sections, defaults } = parseIniFile(text, readOverrides(options.overrides ?? [], known));
  const main = sections.get('main') ?? defaults;
  const named = [...sections].filter(([name]) => name !== 'main');
  const all = sections.has(masterTarget) ? named : [[masterTarget, defaults] as const, ...named];
  const read = (name: string, section: IniSection) => readTarget(name, section, options.compat);
  return {
    masterRegion: main.get('master_region') || options.env.OS_REGION_NAME || null,
    preferableOrder: listOf(main.get('preferable_order')),
    targets: new Map(all.map(([name, section]) => [name, read(name, section)] as const)),
    others: { ...read('DEFAULT', defaults), login: {} },
    parallel: Math.min(wholeNumber('main', 'max_children', main, problem) ?? 1, imageLimits.parallel),
    bwlimit: null,
  };
}

/** @param known names of sections */
export function readOverrides(words: readonly string[], known: Iterable<string>): Override[] {
  const names = new Set(['main', masterTarget, ...known]);
  return words.map((word) => {
    const found = /^(?:([^.=]+)\.)?([^=]+)=([\s\S]*)$/.exec(word);
    const unfit = (details: string): AllianceError => new AllianceError('bad_request', { field: '--config', details });
    if (!found) throw unfit('An override is written key=value or section.key=value.');
    const [, section = null, key = '', value = ''] = found;
    if (section !== null && !names.has(section)) throw unfit(`There is no section "${section}" in the configuration.`);
    return { section, key: key.trim(), value: value.trim() };
  });
}

function readTarget(name: string, section: IniSection, compat: boolean): ConfiguredTarget {
  return {
    ...readRules(name, section, problem),
    login: loginOf(name, section, compat),
    tenantId: section.get('tenant_id') || null,
  };
}

/** What the original takes for one login; with less of it, it looks at none of these. */
const loginOptions = ['user', 'password', 'tenant', 'keystone_url'];

export function loginOf(name: string, section: IniSection, compat: boolean): TargetKeys {
  const whole = loginOptions.every((option) => section.has(option));
  const counts = whole || !compat;
  const told = (option: string, inCredential: string | undefined): string | undefined =>
    (counts ? section.get(option) : undefined) || (whole ? undefined : inCredential) || undefined;
  const [user, encoded, url, tenant] = credentialOf(name, section.get('credential') ?? '');
  const password = encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8');
  return withoutUnset({
    username: told('user', user),
    password: told('password', password),
    projectName: told('tenant', tenant),
    authUrl: told('keystone_url', url),
  });
}

const withoutUnset = (login: Readonly<Record<string, string | undefined>>): TargetKeys =>
  Object.fromEntries(Object.entries(login).filter(([, value]) => value !== undefined));

function credentialOf(name: string, text: string): readonly (string | undefined)[] {
  if (text === '') return [];
  const parts = text.split(',').map((part) => part.trim());
  if (parts.length !== 4) throw problem(name, 'credential', 'it is written user,base64 of the password,URL,tenant.');
  return parts;
}
