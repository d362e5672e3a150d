/**
 * The configuration of a broker: `alliance.yaml` in its home directory, then environment variables over it, then the schema.
 * Whatever is wrong is reported at once, each with its path and its place.
 */
import { resolve } from 'node:path';
import type { z } from 'zod';
import { readRegularFile, whyUnread } from './boundedFile.ts';
import { applyOverride, isSection, type RawSettings, readEnvironment } from './configEnvironment.ts';
import { configFileName, readConfigFile } from './configFile.ts';
import { isPolicyName } from './configPolicies.ts';
import { type ConfigProblem, configurationError, problemsOf, wordIssue } from './configProblems.ts';
import { configSchema, partnerDefaults } from './configSchema.ts';
import { type FoundSection, sectionsAt } from './configSections.ts';
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
/** One of `images.targets`. */
export type ImageTargetSettings = Camel<Settings['images']['targets'][string]>;
/** One of `images.policies`. */
export type ImagePolicySettings = Camel<Settings['images']['policies'][string]>;
/** The section `images`. */
export interface ImagesSettings extends Camel<Omit<Settings['images'], 'targets' | 'policies'>> {
  readonly targets: ReadonlyMap<string, ImageTargetSettings>;
  readonly policies: ReadonlyMap<string, ImagePolicySettings>;
}

/** Paths are absolute, secrets are read from their files, addresses that are `off` are null. */
export interface Config extends Camel<Omit<Settings, 'partners' | 'images'>> {
  /** The home directory, absolute. */
  readonly home: string;
  /** Only partners that the configuration names; see `partnerConfig`. */
  readonly partners: ReadonlyMap<CloudId, PartnerConfig>;
  readonly images: ImagesSettings;
}

const targetAuth = ['images', 'targets', '*', 'auth'] as const;

/** Secrets that may stand in a file of their own: section and key. */
const secretsWithFile: readonly (readonly [section: readonly string[], key: string])[] = [
  [['identity'], 'passphrase'],
  [['keystone'], 'password'],
  [['keystone'], 'application_credential_secret'],
  [targetAuth, 'password'],
  [targetAuth, 'application_credential_secret'],
];

/** Pairs of which only one may be set. */
const exclusivePairs: readonly (readonly [section: readonly string[], key: string, other: string])[] = [
  ...secretsWithFile.map(([section, key]) => [section, key, `${key}_file`] as const),
  [['keystone'], 'system_scope', 'project_name'],
];

/** Keys that hold a path, relative to the home directory. */
const pathKeys: readonly (readonly [section: readonly string[], key: string])[] = [
  [['identity'], 'key_file'],
  [['identity'], 'certificate_file'],
  [['identity'], 'passphrase_file'],
  [['keystone'], 'password_file'],
  [['keystone'], 'application_credential_secret_file'],
  [['keystone'], 'cacert'],
  [['database'], 'kek_file'],
  [['facade'], 'certificate_file'],
  [['facade'], 'key_file'],
  [['tokens'], 'jws_keys'],
  [targetAuth, 'password_file'],
  [targetAuth, 'application_credential_secret_file'],
  [targetAuth, 'cacert'],
];

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
  const names = [...partnerNameProblems(settings), ...targetNameProblems(settings), ...policyNameProblems(settings)];
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

function checkExclusive(settings: RawSettings, [form, key, other]: (typeof exclusivePairs)[number]): ConfigProblem[] {
  return sectionsAt(settings, form)
    .filter(({ section }) => section[key] !== undefined && section[other] !== undefined)
    .map(({ path }) => ({ path: [...path, key], problem: `and ${[...path, other].join('.')} exclude each other` }));
}

function partnerNameProblems({ partners }: RawSettings): ConfigProblem[] {
  if (!isSection(partners)) return [];
  return Object.keys(partners)
    .filter((name) => !isCloudId(name))
    .map((name) => ({ path: ['partners', name], problem: 'is not the cloud_id of a partner' }));
}

/** Names that GlanceSync's `target:region` could not hold. */
const targetNameProblems = (settings: RawSettings): ConfigProblem[] =>
  sectionsAt(settings, ['images', 'targets']).flatMap(({ path, section }) =>
    Object.keys(section)
      .filter((name) => !/^[^:\s]{1,255}$/.test(name))
      .map((name) => ({
        path: [...path, name],
        problem: 'is no name of a target: it has a colon, a blank, or no letter',
      })),
  );

const policyNameProblems = (settings: RawSettings): ConfigProblem[] =>
  sectionsAt(settings, ['images', 'policies']).flatMap(({ path, section }) =>
    Object.keys(section)
      .filter((name) => !isPolicyName(name))
      .map((name) => ({ path: [...path, name], problem: 'is no name of a policy: 1 to 63 of a-z, 0-9 and -' })),
  );

/** Puts the content of each `_file` beside it, without the line end that editors add. */
function readSecretFiles(settings: RawSettings, root: string): ConfigProblem[] {
  return secretsWithFile.flatMap(([form, key]) =>
    sectionsAt(settings, form).flatMap((found) => readSecretFile(found, key, root)),
  );
}

function readSecretFile({ path: at, section }: FoundSection, key: string, root: string): ConfigProblem[] {
  const name = section[`${key}_file`];
  if (typeof name !== 'string' || name === '') return [];
  const path = [...at, `${key}_file`];
  try {
    const secret = readRegularFile(resolve(root, name), fileLimits.inputBytes).text.replace(/\r?\n$/, '');
    if (secret === '') return [{ path, problem: 'names an empty file' }];
    section[key] = secret;
    return [];
  } catch (error) {
    return [{ path, problem: `cannot be read (${whyUnread(error)})` }];
  }
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
  for (const [form, key] of pathKeys)
    for (const { section } of sectionsAt(settings, form))
      if (typeof section[key] === 'string') section[key] = resolve(root, section[key]);
  const { partners, images, ...rest } = settings;
  return {
    ...camel(rest),
    home: root,
    database: { url: databaseUrl(settings.database.url, root), kekFile: settings.database.kek_file },
    partners: new Map(Object.entries(partners).map(([cloudId, entry]) => [cloudId as CloudId, camel(entry)])),
    images: imagesOf(images),
  };
}

function imagesOf({ targets, policies, ...rest }: Settings['images']): ImagesSettings {
  return { ...camel(rest), targets: namedCamel(targets), policies: namedCamel(policies) };
}

/** The names stay as they are. */
const namedCamel = <T>(record: Readonly<Record<string, T>>): ReadonlyMap<string, Camel<T>> =>
  new Map(Object.entries(record).map(([name, entry]) => [name, camel(entry)]));
