/**
 * The configuration of a broker: `alliance.yaml` in its home directory, then environment variables over it, then the schema.
 * Whatever is wrong is reported at once, each with its path and its place.
 */
import { resolve } from 'node:path';
import type { z } from 'zod';
import { readRegularFile, whyUnread } from './boundedFile.ts';
import { applyOverride, isSection, type RawSettings, readEnvironment } from './configEnvironment.ts';
import { configFileName, readConfigFile } from './configFile.ts';
import { type ConfigProblem, configurationError, problemsOf, wordIssue } from './configProblems.ts';
import { configSchema, partnerDefaults } from './configSchema.ts';
import { AllianceError } from './errors.ts';
import { type CloudId, isCloudId } from './ids.ts';
import { fileLimits } from './limits.ts';

type CamelName<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelName<Tail>>}`
  : S;
/** snake_case names of YAML as the camelCase names of our code. */
type Camel<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Camel<Item>[]
    : { readonly [Key in keyof T as CamelName<Key & string>]: Camel<T[Key]> };

type Settings = z.output<typeof configSchema>;
export type PartnerConfig = Camel<Settings['partners'][string]>;

/** Paths are absolute, secrets are read from their files, addresses that are `off` are null. */
export interface Config extends Camel<Omit<Settings, 'partners'>> {
  /** The home directory, absolute. */
  readonly home: string;
  /** Only partners that the configuration names; see `partnerConfig`. */
  readonly partners: ReadonlyMap<CloudId, PartnerConfig>;
}

/** Secrets that may stand in a file of their own: section and key. */
const secretsWithFile = [
  ['identity', 'passphrase'],
  ['keystone', 'password'],
  ['keystone', 'application_credential_secret'],
] as const;

/** Pairs of which only one may be set. */
const exclusivePairs: readonly (readonly [section: string, key: string, other: string])[] = [
  ...secretsWithFile.map(([section, key]) => [section, key, `${key}_file`] as const),
  ['keystone', 'system_scope', 'project_name'],
];

/** Keys that hold a path, relative to the home directory. */
const pathKeys = [
  ['identity', 'key_file'],
  ['identity', 'certificate_file'],
  ['identity', 'passphrase_file'],
  ['keystone', 'password_file'],
  ['keystone', 'application_credential_secret_file'],
  ['keystone', 'cacert'],
  ['database', 'kek_file'],
  ['facade', 'certificate_file'],
  ['facade', 'key_file'],
  ['tokens', 'jws_keys'],
] as const;

export interface LoadOptions {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the configuration of the broker in `home`.
 * Throws `not_initialised` where there is none, and `configuration` with every problem where there are any.
 */
export function loadConfig({ home, env }: LoadOptions): Config {
  const root = resolve(home);
  const { settings: overrides, problems: strangers } = readEnvironment(env);
  const variables = new Map(overrides.map(({ path, variable }) => [path.join('.'), variable]));
  const file = readConfigFile(resolve(root, configFileName));
  if (file === undefined && !variables.has('cloud_id'))
    throw new AllianceError('not_initialised', { details: `There is no ${configFileName} in ${root}.` });

  const settings = file?.settings ?? {};
  const overridden = new Set(variables.keys());
  for (const override of overrides) applyOverride(settings, override, overridden);

  const exclusive = exclusivePairs.flatMap((pair) => checkExclusive(settings, pair));
  const names = partnerNameProblems(settings);
  const secretFiles = exclusive.length > 0 ? [] : readSecretFiles(settings, root);
  const result = configSchema.safeParse(settings, { error: wordIssue });
  const problems = [
    ...strangers,
    ...(result.error ? problemsOf(result.error) : []),
    ...exclusive,
    ...names,
    ...secretFiles,
  ];
  if (!result.success || problems.length > 0)
    throw configurationError(problems, (path) => variables.get(path.join('.')) ?? file?.lineOf(path));
  return finish(result.data, root);
}

/** What a partner may do: its own entry, or the defaults. */
export function partnerConfig(config: Pick<Config, 'partners'>, cloudId: CloudId): PartnerConfig {
  return config.partners.get(cloudId) ?? defaultPartner;
}

const valueAt = (settings: RawSettings, section: string, key: string): unknown => {
  const part = settings[section];
  return isSection(part) ? part[key] : undefined;
};

function checkExclusive(
  settings: RawSettings,
  [section, key, other]: (typeof exclusivePairs)[number],
): ConfigProblem[] {
  const both = valueAt(settings, section, key) !== undefined && valueAt(settings, section, other) !== undefined;
  return both ? [{ path: [section, key], problem: `and ${section}.${other} exclude each other` }] : [];
}

function partnerNameProblems({ partners }: RawSettings): ConfigProblem[] {
  if (!isSection(partners)) return [];
  return Object.keys(partners)
    .filter((name) => !isCloudId(name))
    .map((name) => ({ path: ['partners', name], problem: 'is not the cloud_id of a partner' }));
}

/** Puts the content of each `_file` beside it, without the line end that editors add. */
function readSecretFiles(settings: RawSettings, root: string): ConfigProblem[] {
  return secretsWithFile.flatMap(([section, key]): ConfigProblem[] => {
    const name = valueAt(settings, section, `${key}_file`);
    const part = settings[section];
    if (typeof name !== 'string' || name === '' || !isSection(part)) return [];
    const path = [section, `${key}_file`];
    try {
      const secret = readRegularFile(resolve(root, name), fileLimits.inputBytes).text.replace(/\r?\n$/, '');
      if (secret === '') return [{ path, problem: 'names an empty file' }];
      part[key] = secret;
      return [];
    } catch (error) {
      return [{ path, problem: `cannot be read (${whyUnread(error)})` }];
    }
  });
}

const camelName = (name: string): string => name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());

/** The one place that trusts a cast: the type `Camel` says what this does. */
function camel<T>(value: T): Camel<T> {
  if (Array.isArray(value)) return value.map((item) => camel(item)) as Camel<T>;
  if (typeof value !== 'object' || value === null) return value as Camel<T>;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camelName(key), camel(item)])) as Camel<T>;
}

const defaultPartner: PartnerConfig = camel(partnerDefaults);

const databaseUrl = (url: string, root: string): string =>
  `sqlite:${resolve(root, url.replace(/^sqlite:(\/\/)?/, ''))}`;

function finish(settings: Settings, root: string): Config {
  for (const [section, key] of pathKeys) {
    const part = settings[section] as Record<string, unknown>;
    if (typeof part[key] === 'string') part[key] = resolve(root, part[key]);
  }
  const { partners, ...rest } = settings;
  return {
    ...camel(rest),
    home: root,
    database: { url: databaseUrl(settings.database.url, root), kekFile: settings.database.kek_file },
    partners: new Map(Object.entries(partners).map(([cloudId, entry]) => [cloudId as CloudId, camel(entry)])),
  };
}
