/**
 * Environment variables over the file: `ALLIANCE_KEYSTONE__AUTH_URL` is `keystone.auth_url`. Two underscores go one level down,
 * lists are separated by commas, and a partner is named by its cloud_id, or a policy by its name, in capitals with `_` for `-`.
 */
import { type ConfigKey, configKeys, findConfigKey, isConfigSection } from './configKeys.ts';
import { type ConfigProblem, closest } from './configProblems.ts';

const prefix = 'ALLIANCE_';
/** Variables of this prefix that are no configuration: where the configuration itself is found. */
const notConfiguration: ReadonlySet<string> = new Set(['ALLIANCE_HOME']);

export type RawSettings = Record<string, unknown>;

interface Override {
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

interface Overrides {
  readonly settings: Override[];
  readonly problems: ConfigProblem[];
}

const variableOf = (path: readonly string[]): string => prefix + path.join('__').toUpperCase();

function pathOf(variable: string): string[] {
  const path = variable.slice(prefix.length).toLowerCase().split('__');
  const named = path[0] === 'partners' ? 1 : path[0] === 'images' && path[1] === 'policies' ? 2 : Number.NaN;
  return path.map((segment, i) => (i === named ? segment.replaceAll('_', '-') : segment));
}

/** The value as the key's type, or as it is where it does not fit, so that the schema names the problem. */
function convert(key: ConfigKey, value: string): unknown {
  if (key.type === 'list') return value === '' ? [] : value.split(',').map((item) => item.trim());
  if (key.type === 'boolean') return value === 'true' || value === 'false' ? value === 'true' : value;
  if (key.type === 'number') return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  return value;
}

const withoutSeparators = (variable: string): string => variable.replaceAll('_', '');

/**
 * Undefined for a variable that is somebody else's: Kubernetes, for one, sets `ALLIANCE_SERVICE_HOST` and `ALLIANCE_PORT` for a
 * service that is called alliance. What has our `__`, or is almost one of our names, is an error.
 */
function unknownVariable(variable: string, path: readonly string[]): ConfigProblem | undefined {
  const names = configKeys.map((key) => variableOf(key.path));
  const meant =
    names.find((name) => withoutSeparators(name) === withoutSeparators(variable)) ?? closest(variable, names, 2);
  if (meant === undefined && !variable.includes('__') && !isConfigSection(path)) return undefined;
  const what = isConfigSection(path) ? 'names a section, not a key' : 'is no configuration key';
  return { path: [variable], problem: meant === undefined ? what : `${what}; did you mean ${meant}?` };
}

export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Overrides {
  const settings: Override[] = [];
  const problems: ConfigProblem[] = [];
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(prefix) || notConfiguration.has(variable) || value === undefined) continue;
    const path = pathOf(variable);
    const key = findConfigKey(path);
    const problem = key === undefined ? unknownVariable(variable, path) : undefined;
    if (key !== undefined) settings.push({ variable, path, value: convert(key, value) });
    if (problem !== undefined) problems.push(problem);
  }
  return { settings, problems };
}

/** Whether a value holds other settings by name. */
export const isSection = (value: unknown): value is RawSettings =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `secret` for `secret_file` and the reverse: of the two, the environment's replaces the file's. */
const otherForm = (key: string): string => (key.endsWith('_file') ? key.slice(0, -'_file'.length) : `${key}_file`);

/** Sets one override in place. A section that is no section in the file is left for the schema to refuse. */
export function applyOverride(settings: RawSettings, { path, value }: Override, overridden: ReadonlySet<string>): void {
  let section = settings;
  for (const segment of path.slice(0, -1)) {
    const next = Object.hasOwn(section, segment) ? section[segment] : undefined;
    if (next !== undefined && next !== null && !isSection(next)) return;
    const child = next ?? {};
    section[segment] = child;
    section = child;
  }
  const key = path.at(-1)!;
  section[key] = value;
  const other = otherForm(key);
  if (!overridden.has([...path.slice(0, -1), other].join('.'))) delete section[other];
}
