/** What a sync works by, wherever it is written: `glancesync.conf`, the section `images` of `alliance.yaml`, or the environment alone. */
import { AllianceError } from '../../core/errors.ts';
import type { TargetKeys } from '../../lproxy/credentials.ts';
import { compileCondition } from './condition.ts';
import type { IniSection } from './iniFile.ts';
import type { Target } from './target.ts';

export interface ConfiguredTarget extends Target {
  /** Not synchronised unless they are named. */
  readonly ignoreRegions: ReadonlySet<string>;
  /** What is known of how to log in to its Keystone; nothing, where it is this cloud's or a partner. */
  readonly login: TargetKeys;
  /** Id of the project whose images are ours, where that is said. */
  readonly tenantId: string | null;
  /** For one listing; null: as long as bytes come. */
  readonly listTimeoutMs: number | null;
}

export interface ImagesConfig {
  /** One of target `master`; null where nothing says it. */
  readonly masterRegion: string | null;
  /** Regions that come first where the order is not given. */
  readonly preferableOrder: readonly string[];
  /** By name; `master` is the one whose regions need no prefix, and always there. */
  readonly targets: ReadonlyMap<string, ConfiguredTarget>;
  /** What holds for partners that are not among them. */
  readonly others: ConfiguredTarget;
  /** Regions at a time. */
  readonly parallel: number;
  /** Bytes per second as they were written; null: no limit. */
  readonly bwlimit: string | null;
}

export const masterTarget = 'master';

/** The error for an option of a section. */
export type Complain = (section: string, option: string, details: string) => AllianceError;

export const listOf = (text = ''): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

const words = new Map([
  ...['1', 'yes', 'true', 'on'].map((word) => [word, true] as const),
  ...['0', 'no', 'false', 'off'].map((word) => [word, false] as const),
]);

/** Which images, and what becomes of those that differ. */
export function readRules(
  name: string,
  section: IniSection,
  complain: Complain,
): Omit<ConfiguredTarget, 'login' | 'tenantId'> {
  const set = (option: string): ReadonlySet<string> => new Set(listOf(section.get(option)));
  const flag = (option: string): boolean => {
    const value = words.get((section.get(option) ?? 'true').toLowerCase());
    if (value === undefined) throw complain(name, option, 'it must be True or False.');
    return value;
  };
  const seconds = wholeNumber(name, 'list_images_timeout', section, complain);
  return {
    condition: conditionOf(name, section.get('metadata_condition') ?? '', complain),
    metadataSet: set('metadata_set'),
    forceSyncs: set('forcesyncs'),
    replace: set('replace'),
    rename: set('rename'),
    dontUpdate: set('dontupdate'),
    obsoleteProperties: set('obsolete_syncprops'),
    supportsObsolete: flag('support_obsolete_images'),
    onlyOwnImages: flag('only_tenant_images'),
    ignoreRegions: set('ignore_regions'),
    listTimeoutMs: seconds === null ? null : seconds * 1000,
  };
}

/** From 1 to 999,999; null where the section does not say. */
export function wholeNumber(name: string, option: string, section: IniSection, complain: Complain): number | null {
  const text = section.get(option) ?? '';
  if (text === '') return null;
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1) throw complain(name, option, 'it must be a whole number from 1.');
  return Number(text);
}

function conditionOf(name: string, text: string, complain: Complain): Target['condition'] {
  if (text === '' || text === "''") return null;
  try {
    return compileCondition(text);
  } catch (error) {
    throw error instanceof AllianceError ? complain(name, 'metadata_condition', error.details ?? '') : error;
  }
}
