/** Names of regions as GlanceSync has them: `R` and `master:R` are of the master's Keystone, `target:R` of another, `target:` is all of one. */
import { AllianceError } from '../../core/errors.ts';
import { type ConfiguredTarget, type ImagesConfig, masterTarget } from './imagesConfig.ts';

export interface Region {
  /** As it is shown: without the prefix of the master. */
  readonly name: string;
  readonly target: ConfiguredTarget;
}

const unfit = (details: string): AllianceError => new AllianceError('bad_request', { field: 'region', details });

/** `target:region`; with more colons, or with none, it is the whole name of a region of `master`. */
export function splitRegion(text: string): { readonly target: string; readonly region: string } {
  const parts = text.split(':');
  const [first = '', second] = parts;
  return second === undefined || parts.length > 2
    ? { target: masterTarget, region: text }
    : { target: first, region: second };
}

export const joinRegion = (target: string, region: string): string =>
  target === masterTarget ? region : `${target}:${region}`;

/** `R`, or `target:R` */
export const fullName = (text: string): string => {
  const { target, region } = splitRegion(text);
  return joinRegion(target, region);
};

const asWords = (words: readonly string[]): readonly string[] => (words.length > 0 ? words : [`${masterTarget}:`]);

/** The target that images come from: `cloud` or `cloud:region`, else the one whose regions need no prefix. */
export const targetFrom = (from: string | undefined): string =>
  from === undefined ? masterTarget : from.split(':')[0]!;

/**
 * Full name of the region that images come from: what `from` names, else the configured one, else the only one that there is.
 *
 * @param known all regions of that target, by their full names
 * @throws AllianceError bad_request
 */
export function masterFrom(from: string | undefined, { masterRegion }: ImagesConfig, known: readonly string[]): string {
  const target = targetFrom(from);
  const region = from === undefined ? masterRegion : from.slice(target.length + 1);
  const own = known.filter((name) => splitRegion(name).target === target);
  const field = from === undefined ? 'master_region' : '--from';
  const told =
    own.length > 0
      ? `there are: ${own.slice(0, shownRegions).join(', ')}`
      : `it has none with images (a region of this cloud is ${masterTarget}:REGION)`;
  if (region) {
    const name = from === undefined ? fullName(region) : joinRegion(target, region);
    if (known.includes(name)) return name;
    throw new AllianceError('bad_request', { field, details: `There is no region "${name}"; ${told}.` });
  }
  if (own.length === 1) return own[0]!;
  const missing =
    from === undefined ? 'master_region is missing, and OS_REGION_NAME is not set' : `${from} has not one region`;
  throw new AllianceError('bad_request', { field, details: `${missing}; ${told}.` });
}

/** In a message. */
const shownRegions = 20;

/** The targets that arguments are about. */
export const targetsOf = (words: readonly string[]): string[] => [
  ...new Set(asWords(words).map((word) => splitRegion(word).target)),
];

export interface Choice {
  readonly config: ImagesConfig;
  /** All regions that there are of those targets, by their full names. */
  readonly known: readonly string[];
  /** Full name of the region that images come from. */
  readonly master: string;
  /** Names of partners, each a target without being configured. */
  readonly partners?: ReadonlySet<string>;
}

/** The rules for a target; undefined where there is none of this name. */
const targetNamed = (name: string, { config, partners }: Pick<Choice, 'config' | 'partners'>) =>
  config.targets.get(name) ?? (partners?.has(name) ? config.others : undefined);

/** Whether a word stands for all regions of a target. */
export const expandsTarget = (word: string): boolean => splitRegion(word).region === '' && word.includes(':');

/** The regions that arguments name; none of them: all of the master's Keystone. Each once. */
export function chooseRegions(words: readonly string[], choice: Choice): Region[] {
  const { config, known } = choice;
  const asked = asWords(words);
  const names = asked.flatMap((word) =>
    expandsTarget(word) ? expand(splitRegion(word).target, choice) : [fullName(word)],
  );
  const ordered = asked.some(expandsTarget) ? inPreferableOrder(names, config.preferableOrder.map(fullName)) : names;
  return [...new Set(ordered)].map((name) => {
    const target = existing(splitRegion(name).target, choice);
    if (!known.includes(name)) throw unfit(among(name, known));
    return { name, target };
  });
}

const among = (name: string, known: readonly string[]): string => {
  const some = known.slice(0, shownRegions).join(', ');
  return `There is no region "${name}"${some === '' ? '.' : `; there are: ${some}.`}`;
};

function existing(name: string, choice: Choice): ConfiguredTarget {
  const target = targetNamed(name, choice);
  if (!target) throw unfit(`There is no target "${name}" in the configuration, and no such partner.`);
  return target;
}

function expand(name: string, choice: Choice): string[] {
  const target = existing(name, choice);
  return choice.known.filter((full) => {
    const { target: own, region } = splitRegion(full);
    return own === name && !target.ignoreRegions.has(region) && full !== choice.master;
  });
}

function inPreferableOrder(names: readonly string[], order: readonly string[]): string[] {
  const first = order.filter((name) => names.includes(name));
  return [...first, ...names.filter((name) => !first.includes(name))];
}
