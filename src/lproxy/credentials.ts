/**
 * How the broker logs in to its own Keystone: keys of `alliance.yaml`, then of the entry of `clouds.yaml` that `os_cloud` names,
 * then `OS_*` variables. The first that has a key wins.
 */
import { readRegularFile, whyUnread } from '../core/boundedFile.ts';
import { AllianceError } from '../core/errors.ts';
import { fileLimits } from '../core/limits.ts';
import { type CloudsOptions, dropUnset, readCloud } from './cloudsYaml.ts';
import type { Credentials, KeystoneOptions, Reference, Scope } from './keystone.ts';
import { type KeystoneKeys, mergeKeys, usesApplicationCredential } from './keystoneKeys.ts';

/** `keystone` of the configuration: secrets read from their files, paths absolute. */
export interface KeystoneConfig {
  readonly authUrl?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly userDomainName?: string | undefined;
  readonly projectName?: string | undefined;
  readonly projectDomainName?: string | undefined;
  readonly systemScope?: string | undefined;
  readonly applicationCredentialId?: string | undefined;
  readonly applicationCredentialSecret?: string | undefined;
  readonly region?: string | undefined;
  readonly interface?: string | undefined;
  readonly cacert?: string | undefined;
  readonly osCloud?: string | undefined;
}

export type KeystoneSettings = Pick<
  KeystoneOptions,
  'authUrl' | 'credentials' | 'scope' | 'region' | 'interface' | 'cacert'
>;

/** How each key is called where it may stand, for messages. */
const names = {
  authUrl: ['auth_url', 'OS_AUTH_URL'],
  username: ['username', 'OS_USERNAME'],
  password: ['password', 'OS_PASSWORD'],
  projectName: ['project_name', 'OS_PROJECT_NAME'],
  applicationCredentialId: ['application_credential_id', 'OS_APPLICATION_CREDENTIAL_ID'],
  applicationCredentialSecret: ['application_credential_secret', 'OS_APPLICATION_CREDENTIAL_SECRET'],
} as const;

/** What says how to log in, and how messages call it. */
interface LoginQuestion {
  /** The first that has a key wins. */
  readonly own: readonly KeystoneKeys[];
  /** Entry of `clouds.yaml` behind them. */
  readonly cloud: string | undefined;
  /** Whether `OS_*` stand in for what is still missing. */
  readonly variables: boolean;
  /** `keystone`, or the name of a target. */
  readonly section: string;
}

type Missing = (key: keyof typeof names) => AllianceError;

const missingIn =
  ({ section, variables }: LoginQuestion): Missing =>
  (key) => {
    const [name, variable] = names[key];
    const where = section === 'keystone' ? `in alliance.yaml, in the cloud that ${section}.os_cloud names` : 'there';
    return new AllianceError('configuration', {
      field: `${section}.${name}`,
      details: `${section}.${name} is missing: set it ${where}${variables ? `, or as ${variable}` : ''}.`,
    });
  };

function readVariables(env: CloudsOptions['env']): KeystoneKeys {
  return dropUnset({
    authUrl: env.OS_AUTH_URL,
    username: env.OS_USERNAME,
    userId: env.OS_USER_ID,
    password: env.OS_PASSWORD,
    userDomainName: env.OS_USER_DOMAIN_NAME,
    userDomainId: env.OS_USER_DOMAIN_ID,
    projectName: env.OS_PROJECT_NAME ?? env.OS_TENANT_NAME,
    projectId: env.OS_PROJECT_ID ?? env.OS_TENANT_ID,
    projectDomainName: env.OS_PROJECT_DOMAIN_NAME,
    projectDomainId: env.OS_PROJECT_DOMAIN_ID,
    systemScope: env.OS_SYSTEM_SCOPE,
    applicationCredentialId: env.OS_APPLICATION_CREDENTIAL_ID,
    applicationCredentialName: env.OS_APPLICATION_CREDENTIAL_NAME,
    applicationCredentialSecret: env.OS_APPLICATION_CREDENTIAL_SECRET,
    region: env.OS_REGION_NAME,
    interface: env.OS_INTERFACE ?? env.OS_ENDPOINT_TYPE,
    cacert: env.OS_CACERT,
  });
}

/** Whether anything says that there is a Keystone; what is then missing is an error of `resolveKeystone`, and no absence. */
export function namesKeystone(config: KeystoneConfig, env: CloudsOptions['env']): boolean {
  return Object.values(config).some((value) => value !== undefined) || Boolean(env.OS_CLOUD || env.OS_AUTH_URL);
}

/**
 * @param env the environment, for `OS_*`, `HOME` and `XDG_CONFIG_HOME`
 * @throws AllianceError configuration, naming the key that is missing or wrong
 */
export function resolveKeystone(config: KeystoneConfig, options: CloudsOptions): KeystoneSettings {
  const { osCloud, ...own } = config;
  // OS_CLOUD of someone's shell is not asked for where the configuration already says which Keystone.
  const cloud = osCloud ?? (own.authUrl === undefined ? options.env.OS_CLOUD : undefined);
  return resolve({ own: [dropUnset(own)], cloud, variables: true, section: 'keystone' }, options);
}

export interface TargetKeys extends KeystoneKeys {
  readonly osCloud?: string;
}

export interface TargetQuestion extends CloudsOptions {
  /** As messages name it. */
  readonly name: string;
  /** What is said of the target itself. */
  readonly keys: TargetKeys;
  /** Of this cloud, for the target that is this cloud: the rest comes from there and from `OS_*`. */
  readonly keystone?: KeystoneConfig;
  /** Whether the target is this cloud. */
  readonly here: boolean;
}

/**
 * How to log in to the Keystone that images go to. What is said of this cloud's is never sent to another: where a target names its own
 * `auth_url`, the broker's password does not stand in for a missing one, and `OS_*` only if the target is this cloud.
 *
 * @throws AllianceError configuration, naming the key that is missing or wrong
 */
export function resolveTarget({ name, keys, keystone = {}, here, ...options }: TargetQuestion): KeystoneSettings {
  const { osCloud, ...own } = keys;
  const { osCloud: brokersCloud, ...brokers } = keystone;
  const isBrokers = here && own.authUrl === undefined && osCloud === undefined;
  const cloud =
    osCloud ?? (isBrokers ? (brokersCloud ?? (brokers.authUrl ? undefined : options.env.OS_CLOUD)) : undefined);
  const section = here && Object.keys(own).length === 0 ? 'keystone' : name;
  return resolve(
    { own: [dropUnset(own), ...(isBrokers ? [dropUnset(brokers)] : [])], cloud, variables: here, section },
    options,
  );
}

function resolve(question: LoginQuestion, options: CloudsOptions): KeystoneSettings {
  const { own, cloud, variables, section } = question;
  const missing = missingIn(question);
  const sources = [
    ...own,
    ...(cloud ? [readCloud(cloud, options)] : []),
    ...(variables ? [readVariables(options.env)] : []),
  ];
  const keys = mergeKeys(sources);
  if (keys.authUrl === undefined) throw missing('authUrl');
  const application = usesApplicationCredential(sources);
  const scope = application ? undefined : scopeOf(keys, missing);
  return {
    authUrl: keys.authUrl,
    credentials: application ? applicationCredential(keys, missing) : password(keys, missing),
    ...(scope !== undefined && { scope }),
    ...(keys.region !== undefined && { region: keys.region }),
    ...(keys.interface !== undefined && { interface: parseInterface(keys.interface, section) }),
    ...(keys.cacert !== undefined && { cacert: readAuthorities(keys.cacert, section) }),
  };
}

function userOf(keys: KeystoneKeys, missing: Missing): Reference {
  if (keys.userId !== undefined) return { id: keys.userId };
  if (keys.username === undefined) throw missing('username');
  return { name: keys.username, domain: domainOf(keys.userDomainId, keys.userDomainName) };
}

const domainOf = (id: string | undefined, name: string | undefined) =>
  id !== undefined ? { id } : { name: name ?? 'Default' };

function password(keys: KeystoneKeys, missing: Missing): Credentials {
  const user = userOf(keys, missing);
  if (keys.password === undefined) throw missing('password');
  return { method: 'password', user, password: keys.password };
}

function applicationCredential(keys: KeystoneKeys, missing: Missing): Credentials {
  const { applicationCredentialId: id, applicationCredentialName: name, applicationCredentialSecret: secret } = keys;
  if (id === undefined && name === undefined) throw missing('applicationCredentialId');
  if (secret === undefined) throw missing('applicationCredentialSecret');
  if (id !== undefined) return { method: 'application_credential', id, secret };
  return { method: 'application_credential', name: name!, user: userOf(keys, missing), secret };
}

function scopeOf(keys: KeystoneKeys, missing: Missing): Scope {
  if (keys.systemScope === 'all') return { system: { all: true } };
  if (keys.projectId !== undefined) return { project: { id: keys.projectId } };
  if (keys.projectName === undefined) throw missing('projectName');
  const domain = domainOf(keys.projectDomainId, keys.projectDomainName);
  return { project: { name: keys.projectName, domain } };
}

/** Also the old spellings `publicURL`, `internalURL`, `adminURL`. */
function parseInterface(text: string, section: string): 'public' | 'internal' | 'admin' {
  const name = text.replace(/URL$/, '');
  if (name === 'public' || name === 'internal' || name === 'admin') return name;
  throw new AllianceError('configuration', {
    field: `${section}.interface`,
    details: `${section}.interface is "${text}"; it must be public, internal or admin.`,
  });
}

function readAuthorities(path: string, section: string): string {
  const refuse = (problem: string) =>
    new AllianceError('configuration', {
      field: `${section}.cacert`,
      details: `${section}.cacert: ${path} ${problem}.`,
    });
  let pem: string;
  try {
    pem = readRegularFile(path, fileLimits.authoritiesBytes).text;
  } catch (error) {
    throw refuse(`cannot be read (${whyUnread(error)})`);
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw refuse('holds no certificate');
  return pem;
}
