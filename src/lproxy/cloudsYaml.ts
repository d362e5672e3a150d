/** Entries of `clouds.yaml`, with `secure.yaml` over it, as openstacksdk reads them. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { readRegularFile, whyUnread } from '../core/boundedFile.ts';
import { AllianceError } from '../core/errors.ts';
import { fileLimits } from '../core/limits.ts';
import { readYaml } from '../core/yamlText.ts';
import type { KeystoneKeys } from './keystoneKeys.ts';

type Section = Readonly<Record<string, unknown>>;

const isSection = (value: unknown): value is Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const refuse = (details: string): never => {
  throw new AllianceError('configuration', { field: 'keystone.os_cloud', details });
};

export interface CloudsOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Directories to look in, in order; the default is openstacksdk's. */
  readonly directories?: readonly string[];
}

function defaultDirectories(env: CloudsOptions['env']): string[] {
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  return [resolve('.'), join(config, 'openstack'), '/etc/openstack'];
}

/** The first of these files that exists, or undefined. */
function locate(stem: string, named: string | undefined, directories: readonly string[]): string | undefined {
  if (named !== undefined && named !== '') return named;
  const files = directories.flatMap((each) => [join(each, `${stem}.yaml`), join(each, `${stem}.yml`)]);
  return files.find((file) => existsSync(file));
}

function readClouds(file: string): Section {
  let text: string;
  try {
    text = readRegularFile(file, fileLimits.configBytes).text;
  } catch (error) {
    return refuse(`${file} cannot be read (${whyUnread(error)}).`);
  }
  const { content, problems } = readYaml(text);
  if (problems.length > 0) return refuse(`${file} is not YAML: ${problems.join(', ')}.`);
  const clouds = isSection(content) ? content.clouds : undefined;
  return isSection(clouds) ? clouds : {};
}

/** `over` wins, section by section. */
function merge(under: Section, over: Section): Section {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isSection(below) && isSection(value) ? merge(below, value) : value;
  }
  return merged;
}

/** @throws AllianceError configuration, saying where was looked and what is there */
export function readCloud(name: string, { env, directories = defaultDirectories(env) }: CloudsOptions): KeystoneKeys {
  const file = locate('clouds', env.OS_CLIENT_CONFIG_FILE, directories);
  if (file === undefined) return refuse(`There is no clouds.yaml in ${directories.join(', ')}.`);
  const clouds = readClouds(file);
  const entry = clouds[name];
  if (!isSection(entry)) return refuse(`${file} has no cloud "${name}"; it has: ${Object.keys(clouds).join(', ')}.`);
  const secure = locate('secure', env.OS_CLIENT_SECURE_FILE, directories);
  const secrets = secure === undefined ? undefined : readClouds(secure)[name];
  return toKeys(name, isSection(secrets) ? merge(entry, secrets) : entry, dirname(file));
}

function toKeys(name: string, entry: Section, directory: string): KeystoneKeys {
  if (entry.verify === false || entry.verify === 'false')
    refuse(
      `Cloud "${name}" has verify: false. Name the authority with cacert instead: an unverified server gets the password.`,
    );
  const auth = isSection(entry.auth) ? entry.auth : {};
  const type = entry.auth_type ?? 'password';
  if (!/^(v3)?(password|applicationcredential)$/.test(String(type)))
    refuse(`Cloud "${name}" has auth_type ${String(type)}; password and v3applicationcredential work here.`);
  const text = (...values: unknown[]): string | undefined => {
    const value = values.find((each) => each !== undefined && each !== null && each !== '');
    return value === undefined ? undefined : String(value);
  };
  const domain = text(auth.domain_name, auth.default_domain, entry.default_domain);
  const domainId = text(auth.domain_id, auth.default_domain_id);
  const firstRegion = Array.isArray(entry.regions) ? entry.regions[0] : undefined;
  const cacert = text(entry.cacert);
  const keys = {
    authUrl: text(auth.auth_url, entry.auth_url),
    username: text(auth.username, auth.user_name),
    userId: text(auth.user_id),
    password: text(auth.password),
    userDomainName: text(auth.user_domain_name, domain),
    userDomainId: text(auth.user_domain_id, domainId),
    projectName: text(auth.project_name, auth.tenant_name),
    projectId: text(auth.project_id, auth.tenant_id),
    projectDomainName: text(auth.project_domain_name, domain),
    projectDomainId: text(auth.project_domain_id, domainId),
    systemScope: text(auth.system_scope, entry.system_scope),
    applicationCredentialId: text(auth.application_credential_id),
    applicationCredentialName: text(auth.application_credential_name),
    applicationCredentialSecret: text(auth.application_credential_secret),
    region: text(entry.region_name, isSection(firstRegion) ? firstRegion.name : firstRegion),
    interface: text(entry.interface, entry.endpoint_type),
    cacert: cacert === undefined ? undefined : resolve(directory, cacert.replace(/^~(?=\/)/, homedir())),
  };
  return dropUnset(keys);
}

/** Only the members that have a value. */
export function dropUnset(keys: { readonly [Name in keyof KeystoneKeys]: string | undefined }): KeystoneKeys {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined && value !== ''));
}
