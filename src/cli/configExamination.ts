/** What of a configuration cannot work on this machine although each key is well-formed. Nothing is opened, and nobody is asked. */
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configPath, readNamed } from '../broker/files.ts';
import { imagesProblems } from '../broker/imagesExamination.ts';
import type { Config } from '../core/config.ts';
import { isSection } from '../core/configEnvironment.ts';
import { readConfigFile } from '../core/configFile.ts';
import { configKeys } from '../core/configKeys.ts';
import type { ConfigProblem } from '../core/configProblems.ts';
import { formatHostPort, type HostPort, parseEndpoint } from '../core/endpoint.ts';

export interface Findings {
  /** The broker would not start, or nobody could reach it. */
  readonly problems: readonly ConfigProblem[];
  /** It works, but hardly as it was meant. */
  readonly warnings: readonly ConfigProblem[];
  /** Whether `alliance init` has been here. */
  readonly initialised: boolean;
}

export function examineConfig(config: Config): Findings {
  const { kekFile, url } = config.database;
  const initialised = existsSync(kekFile) || existsSync(pathOf(url));
  return {
    problems: [
      ...(initialised ? missingFiles(config) : missingDirectories(config)),
      ...clashingListeners(config),
      ...advertisedNowhere(config),
      ...exposedKeys(config),
      ...imagesProblems(config),
    ],
    warnings: [...advertisedButOff(config), ...exposedSecrets(config)],
    initialised,
  };
}

const pathOf = (databaseUrl: string): string => databaseUrl.slice('sqlite:'.length);

function files({ identity, database }: Config) {
  return {
    key: [
      ['identity', 'key_file', identity.keyFile],
      ['identity', 'certificate_file', identity.certificateFile],
    ],
    state: [
      ['database', 'kek_file', database.kekFile],
      ['database', 'url', pathOf(database.url)],
    ],
  } as const;
}

function missingFiles(config: Config): ConfigProblem[] {
  const { key, state } = files(config);
  // After a rotation the identities have their keys there, and the first one may be gone.
  const wanted = existsSync(join(config.home, 'identities')) ? state : [...key, ...state];
  return wanted
    .filter(([, , path]) => !existsSync(path))
    .map(([section, name, path]) => ({
      path: [section, name],
      problem: `there is no ${path}: correct the path, or restore the file from a backup`,
    }));
}

/** `init` makes files, and the home directory. */
function missingDirectories(config: Config): ConfigProblem[] {
  const { key, state } = files(config);
  return [...key, ...state]
    .filter(([, , path]) => dirname(path) !== config.home && !existsSync(dirname(path)))
    .map(([section, name, path]) => ({
      path: [section, name],
      problem: `there is no directory ${dirname(path)}: correct the path, or make the directory`,
    }));
}

const everywhere: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Whether the second of two listeners would find its address in use. */
function clash(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const hosts = [a.host, b.host].map((host) => (host === 'localhost' ? '127.0.0.1' : host));
  if (hosts[0] === hosts[1] || hosts.includes('::')) return true;
  return hosts.includes('0.0.0.0') && !hosts.some((host) => host.includes(':'));
}

function clashingListeners({ listen, http }: Config): ConfigProblem[] {
  const listeners = [
    [['listen', 'tls'], listen.tls],
    [['listen', 'tcp'], listen.tcp],
    [['http', 'listen'], http.listen],
  ] as const;
  return listeners.flatMap(([path, address], index) =>
    listeners
      .slice(0, index)
      .filter(([, other]) => address && other && clash(address, other))
      .map(([other]) => ({
        path,
        problem: `${formatHostPort(address!)} is taken by ${other.join('.')} already: give one of them another port, or \`off\``,
      })),
  );
}

function advertisedNowhere({ advertise }: Config): ConfigProblem[] {
  return advertise
    .filter((endpoint) => everywhere.has(parseEndpoint(endpoint).host))
    .map((endpoint) => ({
      path: ['advertise'],
      problem: `${endpoint} is no address that a partner can dial: give the name or address of this host`,
    }));
}

/** No problem, since `serve` has options for both. */
function advertisedButOff({ advertise, listen }: Config): ConfigProblem[] {
  return advertise
    .filter((endpoint) => listen[parseEndpoint(endpoint).scheme] === null)
    .map((endpoint) => ({
      path: ['advertise'],
      problem: `partners are told ${endpoint}, but listen.${parseEndpoint(endpoint).scheme} is off`,
    }));
}

const isExposed = (path: string): boolean => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0;

/** Those that the broker refuses to use. */
function exposedKeys({ identity, database }: Config): ConfigProblem[] {
  const { keyFile } = identity;
  const plainKey = isExposed(keyFile) && !readNamed(keyFile, 'identity.key_file').includes('ENCRYPTED');
  return [
    ...(plainKey ? [exposed(['identity', 'key_file'], keyFile)] : []),
    ...(isExposed(database.kekFile) ? [exposed(['database', 'kek_file'], database.kekFile)] : []),
  ];
}

const exposed = (path: readonly string[], file: string): ConfigProblem => ({
  path,
  problem: `others than its owner have access to ${file}: run \`chmod 600 ${file}\``,
});

/** A secret of root's is handed out by its group, as an account's that runs the broker, or by an orchestrator. */
function isHandedAround(path: string): boolean {
  const { mode = 0, uid = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {};
  return (mode & (uid === 0 ? 0o007 : 0o077)) !== 0;
}

function exposedSecrets({ home, identity, keystone }: Config): ConfigProblem[] {
  const named = [
    [['identity', 'passphrase_file'], identity.passphraseFile],
    [['keystone', 'password_file'], keystone.passwordFile],
    [['keystone', 'application_credential_secret_file'], keystone.applicationCredentialSecretFile],
  ] as const;
  const inFile = isHandedAround(configPath(home)) ? secretsWithin(configPath(home)) : [];
  return [
    ...named.flatMap(([path, file]) => (file !== undefined && isHandedAround(file) ? [exposed(path, file)] : [])),
    ...inFile.map((path) => exposed(path, configPath(home))),
  ];
}

function secretsWithin(file: string): (readonly string[])[] {
  const settings = readConfigFile(file)?.settings ?? {};
  return configKeys
    .filter(({ secret, path }) => {
      const section = settings[path[0]!];
      return secret && isSection(section) && section[path[1]!] !== undefined;
    })
    .map(({ path }) => path);
}
