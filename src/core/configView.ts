/** The configuration as an operator may see it, and what differs between two of them. */
import type { Config } from './config.ts';
import { findConfigKey } from './configKeys.ts';
import { imagePolicyDefaults } from './configPolicies.ts';
import { configSchema, imageTargetDefaults, partnerDefaults } from './configSchema.ts';
import { formatHostPort, type HostPort } from './endpoint.ts';
import { redacted } from './log.ts';

/** What a running broker can take over, as beginnings of paths; some keys in there need a restart all the same. */
const reloadable = [
  ['log', 'level'],
  ['exports'],
  ['partners'],
  ['limits'],
  ['dial'],
  ['tokens'],
  ['audit'],
  ['images', 'policies'],
];

/** Whether SIGHUP applies a change of this key to a running broker. */
export const isReloadable = (path: readonly string[]): boolean =>
  reloadable.some((beginning) => beginning.every((segment, index) => path[index] === segment)) &&
  findConfigKey(path)?.restart !== true;

export interface ConfigChanges {
  /** Paths of changed keys that a running broker takes over. */
  readonly reloadable: string[];
  /** Paths of changed keys that need a restart. */
  readonly needRestart: string[];
}

const snakeName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const isAddress = (value: object): value is HostPort => 'host' in value && 'port' in value;

type Show = (path: readonly string[], value: unknown) => unknown;

/** The settings in the form of `alliance.yaml`, each value as `show` gives it. */
function toSettings(value: unknown, path: readonly string[], show: Show): unknown {
  if (value === null) return 'off';
  if (typeof value !== 'object' || Array.isArray(value)) return show(path, value);
  if (isAddress(value)) return formatHostPort(value);
  const isNamed = value instanceof Map;
  const entries: [string, unknown][] = isNamed ? [...value] : Object.entries(value);
  return Object.fromEntries(
    entries
      .filter(([, item]) => item !== undefined)
      .map(([name, item]) => {
        const key = isNamed ? name : snakeName(name);
        return [key, toSettings(item, [...path, key], show)];
      }),
  );
}

/** Everything in force, defaults included, as it could stand in `alliance.yaml`, but without secrets. */
export function redactConfig(config: Config): Record<string, unknown> {
  const { home: _home, ...settings } = config;
  return toSettings(settings, [], (path, value) => (findConfigKey(path)?.secret ? redacted : value)) as Record<
    string,
    unknown
  >;
}

/** Every key with its value as comparable text. The result holds secrets. */
function flatten(config: Config): Map<string, { path: readonly string[]; value: string }> {
  const { home: _home, ...settings } = config;
  const flat = new Map<string, { path: readonly string[]; value: string }>();
  const visit = (value: unknown, path: readonly string[]): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const [key, item] of Object.entries(value)) visit(item, [...path, key]);
    else flat.set(path.join('.'), { path, value: JSON.stringify(value) });
  };
  visit(
    toSettings(settings, [], (_path, value) => value),
    [],
  );
  return flat;
}

/** Names of the keys that are not at their defaults. */
export function namesOfChanged(config: Config): string[] {
  // Settings differ from a Config in the spelling of names only, which flattening makes one.
  const defaults = flatten(configSchema.parse({ cloud_id: config.cloudId }) as unknown as Config);
  const isDefault = (name: string, path: readonly string[], value: string): boolean =>
    // Paths became absolute when they were read.
    [value, value.replaceAll(`${config.home}/`, '')].includes(valueUnnamed(path) ?? defaults.get(name)?.value ?? '');
  return [...flatten(config)].filter(([name, { path, value }]) => !isDefault(name, path, value)).map(([name]) => name);
}

/** Records, and what holds for a name that they do not have. */
const records = [
  { path: ['partners'], defaults: partnerDefaults },
  { path: ['images', 'targets'], defaults: imageTargetDefaults },
  { path: ['images', 'policies'], defaults: imagePolicyDefaults },
];

/** What holds where a configuration does not name the key. */
function valueUnnamed(path: readonly string[]): string | undefined {
  const key = findConfigKey(path);
  const record = records.find((each) => each.path.every((segment, i) => key?.path[i] === segment));
  if (!record || key?.path[record.path.length] !== '*') return undefined;
  return JSON.stringify(
    path
      .slice(record.path.length + 1)
      .reduce<unknown>((section, name) => (section as Record<string, unknown>)[name], record.defaults),
  );
}

/** What a reload would change. A secret from a file counts as its own key, not as the file's name. */
export function compareConfigs(former: Config, next: Config): ConfigChanges {
  const [old, young] = [flatten(former), flatten(next)];
  const changes: ConfigChanges = { reloadable: [], needRestart: [] };
  for (const [name, { path }] of new Map([...old, ...young])) {
    const [before, after] = [old, young].map((config) => config.get(name)?.value ?? valueUnnamed(path));
    if (before === after) continue;
    changes[isReloadable(path) ? 'reloadable' : 'needRestart'].push(name);
  }
  return changes;
}
