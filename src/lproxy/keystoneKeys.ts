/** The keys that say how to log in to a Keystone, wherever they are written down. */

export interface KeystoneKeys {
  readonly authUrl?: string;
  readonly username?: string;
  readonly userId?: string;
  readonly password?: string;
  readonly userDomainName?: string;
  readonly userDomainId?: string;
  readonly projectName?: string;
  readonly projectId?: string;
  readonly projectDomainName?: string;
  readonly projectDomainId?: string;
  /** `all` for a token of the whole system. */
  readonly systemScope?: string;
  readonly applicationCredentialId?: string;
  readonly applicationCredentialName?: string;
  readonly applicationCredentialSecret?: string;
  readonly region?: string;
  readonly interface?: string;
  /** Path of a PEM file. */
  readonly cacert?: string;
}

export type KeyName = keyof KeystoneKeys;

/**
 * Keys that mean something only together: the first source that has one of them gives them all, or a project name of one
 * cloud would meet the project id of another.
 */
const groups: readonly (readonly KeyName[])[] = [
  ['authUrl'],
  ['username', 'userId'],
  ['userDomainName', 'userDomainId'],
  ['password'],
  ['projectName', 'projectId', 'systemScope'],
  ['projectDomainName', 'projectDomainId'],
  ['applicationCredentialId', 'applicationCredentialName'],
  ['applicationCredentialSecret'],
  ['region'],
  ['interface'],
  ['cacert'],
];

const has = (keys: KeystoneKeys, names: readonly KeyName[]): boolean =>
  names.some((name) => keys[name] !== undefined && keys[name] !== '');

/** One set of keys out of several sources, the first of which wins. */
export function mergeKeys(sources: readonly KeystoneKeys[]): KeystoneKeys {
  const merged: Partial<Record<KeyName, string>> = {};
  for (const names of groups) {
    const source = sources.find((keys) => has(keys, names));
    for (const name of names) if (source?.[name]) merged[name] = source[name];
  }
  return merged;
}

/** Whether the first source that names a way to log in names an application credential. */
export function usesApplicationCredential(sources: readonly KeystoneKeys[]): boolean {
  const application: readonly KeyName[] = [
    'applicationCredentialId',
    'applicationCredentialName',
    'applicationCredentialSecret',
  ];
  const first = sources.find((keys) => has(keys, [...application, 'username', 'userId', 'password']));
  return first !== undefined && has(first, application);
}
