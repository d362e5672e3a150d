/**
 * This cloud's Keystone (Identity API v3), as the broker's own user. Requests go to the configured `authUrl` and nowhere else:
 * no URL from a catalog, a link or a redirect is ever followed.
 */
import PQueue from 'p-queue';
import { type Clock, systemClock } from '../core/clock.ts';
import { AllianceError, type ErrorName, toAllianceError } from '../core/errors.ts';
import { keystoneLimits, tokenLimits } from '../core/limits.ts';
import {
  type Credentials,
  endpointRow,
  isKeystoneError,
  isLoginRefusal,
  type KeystoneEndpoint,
  type KeystoneRegion,
  type KeystoneService,
  type KeystoneToken,
  loginBody,
  parsePage,
  parseToken,
  parseVersion,
  type RowSchema,
  regionRow,
  type Scope,
  serviceRow,
  withoutCatalog,
} from './keystoneBodies.ts';
import { createKeystoneHttp, type HttpAnswer, type HttpRequest, type KeystoneLimits } from './keystoneHttp.ts';
import { OwnLogin } from './keystoneLogin.ts';

export type {
  Credentials,
  DomainReference,
  KeystoneEndpoint,
  KeystoneRegion,
  KeystoneService,
  KeystoneToken,
  Reference,
  Scope,
} from './keystoneBodies.ts';

export type KeystoneOperation =
  | 'login'
  | 'validate'
  | 'issue'
  | 'revoke'
  | 'services'
  | 'endpoints'
  | 'regions'
  | 'version';
export type KeystoneOutcome = 'ok' | 'invalid' | ErrorName;

export interface KeystoneOptions {
  /** With or without `/v3` at its end, with any path before it. */
  readonly authUrl: string;
  /** Of the broker's own user. */
  readonly credentials: Credentials;
  readonly scope?: Scope;
  /** Region and interface that `endpointUrl` chooses; absent: any region, public. */
  readonly region?: string;
  readonly interface?: 'public' | 'internal' | 'admin';
  /** Authorities to trust instead of the system's, PEM (the text, not a path). */
  readonly cacert?: string;
  readonly clock?: Clock;
  readonly limits?: Partial<KeystoneLimits>;
  /** Called once for every operation, and for every login of the broker itself. */
  readonly onCall?: (operation: KeystoneOperation, outcome: KeystoneOutcome, ms: number) => void;
}

export type TokenAnswer =
  | {
      readonly status: 'valid';
      /** Keystone's body, verbatim. */
      readonly body: string;
      readonly token: KeystoneToken;
      /** UTC epoch milliseconds. */
      readonly expiresAt: number;
    }
  | { readonly status: 'invalid' };

export interface ValidateOptions {
  /** Also tokens that expired within Keystone's window (48 h by default). */
  readonly allowExpired?: boolean;
  /** False leaves the service catalog out of the body. */
  readonly catalog?: boolean;
}

export interface EndpointFilter {
  readonly serviceId?: string;
  readonly interface?: string;
  readonly region?: string;
}

/**
 * Every method throws AllianceError: keystone_unreachable (no connection, no answer in time, 5xx), keystone_refused (the broker's
 * own credentials or rights), keystone_malformed (not what the API promises), overloaded (too many wait).
 */
export interface Keystone {
  /** @throws also token_form_refused, for what cannot be a token */
  validateToken(token: string, options?: ValidateOptions): Promise<TokenAnswer>;
  /** Log in a user; the body comes without the catalog. @throws also credentials_refused */
  issueToken(
    credentials: Credentials,
    scope?: Scope,
  ): Promise<{ readonly token: string; readonly body: string; readonly expiresAt: number }>;
  /** True when it was valid until now. */
  revokeToken(token: string): Promise<boolean>;
  /** Those switched on, at most `keystoneLimits.listItems`, as are all lists. */
  listServices(filter?: { readonly type?: string; readonly name?: string }): Promise<KeystoneService[]>;
  listEndpoints(filter?: EndpointFilter): Promise<KeystoneEndpoint[]>;
  listRegions(): Promise<KeystoneRegion[]>;
  /** URL of a service of this cloud, by the configured region and interface; null where there is none. */
  endpointUrl(serviceType: string): Promise<string | null>;
  /** Needs no login. */
  version(): Promise<{ readonly id: string; readonly status: string }>;
  close(): Promise<void>;
}

const tokenForm = new RegExp(`^[A-Za-z0-9._=-]{1,${tokenLimits.tokenBytes}}$`);

function assertTokenForm(token: string): void {
  if (!tokenForm.test(token)) throw new AllianceError('token_form_refused', { field: 'token' });
}

const unexpected = (answer: HttpAnswer) =>
  new AllianceError('keystone_malformed', { details: `It answered ${answer.status}.` });

/** A query string of those parameters that have a value; an empty value is a bare word. */
function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const words = Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => (value === '' ? key : `${key}=${encodeURIComponent(value!)}`));
  return words.length > 0 ? `?${words.join('&')}` : '';
}

export function createKeystone(options: KeystoneOptions): Keystone {
  const limits: KeystoneLimits = { ...keystoneLimits, ...options.limits };
  const clock = options.clock ?? systemClock;
  const http = createKeystoneHttp({
    authUrl: options.authUrl,
    ...(options.cacert !== undefined && { cacert: options.cacert }),
    limits,
  });
  const queue = new PQueue({ concurrency: limits.concurrency });
  let closed = false;
  const login = new OwnLogin({
    http,
    credentials: options.credentials,
    ...(options.scope !== undefined && { scope: options.scope }),
    clock,
    limits,
    observe: (work) => observe('login', work),
  });

  async function observe<T>(operation: KeystoneOperation, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const report = (outcome: KeystoneOutcome) => options.onCall?.(operation, outcome, performance.now() - start);
    try {
      const result = await work();
      report((result as { status?: unknown } | undefined)?.status === 'invalid' ? 'invalid' : 'ok');
      return result;
    } catch (thrown) {
      const error = toAllianceError(thrown);
      report(error.errorName);
      throw error;
    }
  }

  /** Runs within the concurrency limit and the time limit of one operation, both of which include waiting. */
  function run<T>(operation: KeystoneOperation, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const overloaded = (details: string) => new AllianceError('overloaded', { details, retryAfterMs: 1000 });
    return observe(operation, async () => {
      if (queue.size >= limits.queue) throw overloaded('Too many requests wait for Keystone.');
      const signal = AbortSignal.timeout(limits.requestTimeoutMs);
      return queue.add(() => {
        if (closed) throw new AllianceError('shutting_down');
        if (signal.aborted) throw overloaded('The request waited too long for its turn at Keystone.');
        return work(signal);
      });
    });
  }

  /** Sends with the broker's own token, once more with a new one if Keystone no longer takes it. */
  async function sendAuthorised(request: Omit<HttpRequest, 'repeatable'>): Promise<HttpAnswer> {
    const send = (token: string) =>
      http.send({ ...request, repeatable: true, headers: { ...request.headers, 'x-auth-token': token } });
    const token = await untilAborted(login.token(), request.signal);
    let answer = await send(token);
    if (answer.status === 401) answer = await send(await untilAborted(login.replace(token), request.signal));
    if (answer.status === 401 || answer.status === 403)
      throw new AllianceError('keystone_refused', { details: `${request.method} answered ${answer.status}.` });
    return answer;
  }

  /** A login is shared, so one caller's time limit ends only that caller's waiting. */
  function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = () =>
        reject(
          new AllianceError('keystone_unreachable', { details: `No login within ${limits.requestTimeoutMs} ms.` }),
        );
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    });
  }

  function list<T>(
    operation: KeystoneOperation,
    key: 'services' | 'endpoints' | 'regions',
    row: RowSchema<T>,
    filter: Readonly<Record<string, string | undefined>>,
  ): Promise<T[]> {
    return run(operation, async (signal) => {
      const items: T[] = [];
      let search: string | null = query(filter);
      while (search !== null && items.length < limits.listItems) {
        const answer: HttpAnswer = await sendAuthorised({ method: 'GET', path: `/${key}${search}`, signal });
        if (answer.status !== 200) throw unexpected(answer);
        const page = parsePage(answer.text, key, row);
        for (const { enabled, item } of page.rows) if (enabled) items.push(item);
        search = page.rows.length > 0 ? nextSearch(page.next) : null;
      }
      return items.slice(0, limits.listItems);
    });
  }

  /** Only the query of a link to the next page is taken: where to ask is ours to say. */
  function nextSearch(next: string | null): string | null {
    if (next === null) return null;
    if (!URL.canParse(next, options.authUrl))
      throw new AllianceError('keystone_malformed', { details: 'links.next is no URL.' });
    return new URL(next, options.authUrl).search || null;
  }

  const keystone: Keystone = {
    validateToken: (token, { allowExpired = false, catalog = true } = {}) =>
      run('validate', async (signal) => {
        assertTokenForm(token);
        const search = query({ nocatalog: catalog ? undefined : '', allow_expired: allowExpired ? '1' : undefined });
        const answer = await sendAuthorised({
          method: 'GET',
          path: `/auth/tokens${search}`,
          headers: { 'x-subject-token': token },
          signal,
        });
        if (answer.status === 404 && isKeystoneError(answer.text, 404)) return { status: 'invalid' };
        if (answer.status !== 200) throw unexpected(answer);
        const parsed = parseToken(answer.text);
        return { status: 'valid', body: answer.text, token: parsed, expiresAt: parsed.expiresAt };
      }),

    issueToken: (credentials, scope) =>
      run('issue', async (signal) => {
        const answer = await http.send({
          method: 'POST',
          path: '/auth/tokens?nocatalog',
          body: loginBody(credentials, scope),
          repeatable: false,
          signal,
        });
        if (isLoginRefusal(answer.text, answer.status)) throw new AllianceError('credentials_refused');
        const token = answer.header('x-subject-token');
        if (answer.status !== 201 || !token) throw unexpected(answer);
        const { expiresAt } = parseToken(answer.text);
        return { token, body: withoutCatalog(answer.text), expiresAt };
      }),

    revokeToken: (token) =>
      run('revoke', async (signal) => {
        assertTokenForm(token);
        const answer = await sendAuthorised({
          method: 'DELETE',
          path: '/auth/tokens',
          headers: { 'x-subject-token': token },
          signal,
        });
        if (answer.status === 204) return true;
        if (answer.status === 404 && isKeystoneError(answer.text, 404)) return false;
        throw unexpected(answer);
      }),

    listServices: ({ type, name } = {}) => list('services', 'services', serviceRow, { type, name }),
    listEndpoints: (filter = {}) =>
      list('endpoints', 'endpoints', endpointRow, {
        service_id: filter.serviceId,
        interface: filter.interface,
        region_id: filter.region,
      }),
    listRegions: () => list('regions', 'regions', regionRow, {}),

    async endpointUrl(serviceType) {
      const choice = {
        interface: options.interface ?? 'public',
        ...(options.region !== undefined && { region: options.region }),
      };
      for (const service of await keystone.listServices({ type: serviceType })) {
        const [endpoint] = await keystone.listEndpoints({ serviceId: service.id, ...choice });
        if (endpoint) return endpoint.url;
      }
      return null;
    },

    version: () =>
      run('version', async (signal) => {
        const answer = await http.send({ method: 'GET', path: '', repeatable: true, signal });
        if (answer.status !== 200) throw unexpected(answer);
        return parseVersion(answer.text);
      }),

    async close() {
      closed = true;
      await http.close();
    },
  };
  return keystone;
}
