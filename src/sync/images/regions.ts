/** Names of regions as GlanceSync has them: `R` and `master:R` are of the master's Keystone, `target:R` of another, `target:` is all of one. */
import { AllianceError } from '../../core/errors.ts';
import { type ConfiguredTarget, type GlancesyncConfig, masterTarget } from './glancesyncConf.ts';

export interface Region {
  /** As it is shown: without the prefix of the master. */
  readonly name: string;
  readonly target: ConfiguredTarget;
}

const unfit = (details: string): AllianceError => new AllianceError('bad_request', { field: 'region', details });

function split(text: string): { readonly target: string; readonly region: string } {
  const parts = text.split(':');
  const [first = '', second] = parts;
  // With more colons it is the whole name of a region.
  return second === undefined || parts.length > 2
    ? { target: masterTarget, region: text }
    : { target: first, region: second };
}

/** `R`, or `target:R` */
export const fullName = (text: string): string => {
  const { target, region } = split(text);
  return target === masterTarget ? region : `${target}:${region}`;
};

/**
 * The regions that arguments name; none of them: all of the master's Keystone.
 *
 * @param known all regions that there are, by their full names
 */
export function chooseRegions(words: readonly string[], known: readonly string[], config: GlancesyncConfig): Region[] {
  const asked = words.length > 0 ? words : [`${masterTarget}:`];
  const expands = (word: string): boolean => split(word).region === '' && word.includes(':');
  const names = asked.flatMap((word) => (expands(word) ? expand(split(word).target, known, config) : [fullName(word)]));
  const ordered = asked.some(expands) ? inPreferableOrder(names, config.preferableOrder.map(fullName)) : names;
  return ordered.map((name) => {
    const target = config.targets.get(split(name).target);
    if (!target) throw unfit(`There is no target "${split(name).target}" in the configuration.`);
    if (!known.includes(name)) throw unfit(`There is no region "${name}".`);
    return { name, target };
  });
}

function expand(name: string, known: readonly string[], config: GlancesyncConfig): string[] {
  const target = config.targets.get(name);
  if (!target) throw unfit(`There is no target "${name}" in the configuration.`);
  return known.filter((full) => {
    const { target: own, region } = split(full);
    if (own !== name || target.ignoreRegions.has(region)) return false;
    return name !== masterTarget || region !== config.masterRegion;
  });
}

function inPreferableOrder(names: readonly string[], order: readonly string[]): string[] {
  const first = order.filter((name) => names.includes(name));
  return [...first, ...names.filter((name) => !first.includes(name))];
}
