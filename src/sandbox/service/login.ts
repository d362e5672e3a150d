/** How a stock service finds Keystone and gets its own token: one `auth_url`, and the catalog from there on. */

/** What the section `[keystone_authtoken]` of a service says of itself. */
export interface ServiceCredentials {
  readonly authUrl: string;
  readonly username: string;
  readonly password: string;
  readonly projectName: string;
  readonly userDomainName?: string;
  readonly projectDomainName?: string;
  /** Interface of the identity endpoint; `internal` by default. */
  readonly interface?: string;
  readonly regionName?: string;
}

export interface ServiceLogin {
  readonly token: string;
  /** Where tokens are validated, ending with `/v3`. */
  readonly identityUrl: string;
}

/** Keystone gave no answer that helps; the service is 503 to its clients. */
export class KeystoneUnavailable extends Error {}

interface Link {
  readonly rel: string;
  readonly href: string;
}

interface Version {
  readonly id: string;
  readonly links: readonly Link[];
}

interface Discovery {
  readonly version?: Version;
  readonly versions?: { readonly values: readonly Version[] };
}

interface CatalogEndpoint {
  readonly interface: string;
  readonly region: string;
  readonly url: string;
}

interface LoginBody {
  readonly token: { readonly catalog: readonly { type: string; endpoints: readonly CatalogEndpoint[] }[] };
}

const timeoutMs = 10_000;

/** Any answer, whatever its status. @throws KeystoneUnavailable where there is none */
export async function askKeystone(url: string, init: RequestInit = {}): Promise<Response> {
  const signal = AbortSignal.timeout(timeoutMs);
  return fetch(url, { redirect: 'manual', ...init, signal }).catch((cause: unknown) => {
    throw new KeystoneUnavailable('Keystone does not answer.', { cause });
  });
}

/** @throws KeystoneUnavailable for a body that is not JSON */
export const jsonOf = <T>(answer: Response): Promise<T> =>
  answer.json().catch((cause: unknown) => {
    throw new KeystoneUnavailable('Keystone answers something else than JSON.', { cause });
  }) as Promise<T>;

/** The version 3 that an unversioned or versioned URL leads to, without a slash at its end. */
async function discover(url: string): Promise<string> {
  const answer = await askKeystone(url, { headers: { accept: 'application/json' } });
  if (answer.status !== 200 && answer.status !== 300)
    throw new KeystoneUnavailable(`Asked for its versions, Keystone answers ${answer.status}.`);
  const { version, versions } = await jsonOf<Discovery>(answer);
  const v3 = version ?? versions?.values.find(({ id }) => id.startsWith('v3'));
  const href = v3?.links.find(({ rel }) => rel === 'self')?.href;
  if (!href) throw new KeystoneUnavailable('Keystone has no version 3.');
  return href.replace(/\/+$/, '');
}

function bodyOf(credentials: ServiceCredentials): string {
  const { username: name, password, userDomainName = 'Default' } = credentials;
  const { projectName, projectDomainName = 'Default' } = credentials;
  const user = { name, password, domain: { name: userDomainName } };
  return JSON.stringify({
    auth: {
      identity: { methods: ['password'], password: { user } },
      scope: { project: { name: projectName, domain: { name: projectDomainName } } },
    },
  });
}

/** Discovery, once for each of these; then `logIn` as often as the service's own token has ended. */
export class ServiceAccount {
  readonly #credentials: ServiceCredentials;
  #loginUrl: string | undefined;

  constructor(credentials: ServiceCredentials) {
    this.#credentials = credentials;
  }

  /** @throws KeystoneUnavailable */
  async logIn(): Promise<ServiceLogin> {
    this.#loginUrl ??= await discover(this.#credentials.authUrl);
    const answer = await askKeystone(`${this.#loginUrl}/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: bodyOf(this.#credentials),
    });
    const token = answer.headers.get('x-subject-token');
    if (answer.status !== 201 || token === null)
      throw new KeystoneUnavailable(`The service's own login is answered ${answer.status}.`);
    return { token, identityUrl: await this.#identityUrlOf(await jsonOf<LoginBody>(answer)) };
  }

  async #identityUrlOf({ token }: LoginBody): Promise<string> {
    const { interface: wanted = 'internal', regionName } = this.#credentials;
    const found = token.catalog
      .filter(({ type }) => type === 'identity')
      .flatMap(({ endpoints }) => endpoints)
      .find((each) => each.interface === wanted && (regionName === undefined || each.region === regionName));
    if (!found) throw new KeystoneUnavailable('The catalog has no identity endpoint.');
    return /\/v3\/?$/.test(found.url) ? found.url.replace(/\/$/, '') : discover(found.url);
  }
}
