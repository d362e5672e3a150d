/**
 * Token validation as keystonemiddleware's `auth_token` does it in every OpenStack service: the same calls, the same reading of status
 * codes, the same cache. It knows nothing of brokers or partners, and that is the point.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import {
  askKeystone,
  jsonOf,
  KeystoneUnavailable,
  ServiceAccount,
  type ServiceCredentials,
  type ServiceLogin,
} from './login.ts';

interface Named {
  readonly id: string;
  readonly name: string;
}

export interface TokenBody {
  readonly expires_at: string;
  readonly user: Named & { readonly domain: Named };
  readonly project?: Named;
  readonly roles?: readonly Named[];
  readonly application_credential?: { readonly access_rules?: unknown };
}

export interface AuthTokenOptions extends ServiceCredentials {
  /** Seconds that an answer counts without asking again; 300 by default, as with the real one. 0: no cache. */
  readonly tokenCacheTimeS?: number;
  readonly clock: Clock;
}

const defaultCacheTimeS = 300;

export class AuthToken {
  readonly #options: AuthTokenOptions;
  readonly #account: ServiceAccount;
  readonly #cache = new Map<string, { readonly body: TokenBody; readonly until: number }>();
  #login: Promise<ServiceLogin> | undefined;

  constructor(options: AuthTokenOptions) {
    this.#options = options;
    this.#account = new ServiceAccount(options);
  }

  /** null: the token is not valid. @throws KeystoneUnavailable where that cannot be told */
  async check(token: string): Promise<TokenBody | null> {
    const key = createHash('sha256').update(token).digest('hex');
    const body = this.#cached(key) ?? (await this.#ask(token));
    if (!body) return null;
    this.#keep(key, body);
    // Looked at on each use, also on that of a remembered body.
    if (Date.parse(body.expires_at) <= this.#options.clock.now()) return null;
    // A service that was not told its service_type cannot enforce access rules, and refuses.
    return body.application_credential?.access_rules === undefined ? body : null;
  }

  #cached(key: string): TokenBody | undefined {
    const known = this.#cache.get(key);
    if (known && this.#options.clock.now() < known.until) return known.body;
    this.#cache.delete(key);
    return undefined;
  }

  #keep(key: string, body: TokenBody): void {
    const { tokenCacheTimeS = defaultCacheTimeS, clock } = this.#options;
    if (tokenCacheTimeS === 0 || this.#cache.has(key)) return;
    for (const [old, { until }] of this.#cache) if (until <= clock.now()) this.#cache.delete(old);
    this.#cache.set(key, { body, until: clock.now() + tokenCacheTimeS * 1000 });
  }

  async #ask(token: string): Promise<TokenBody | null> {
    let answer = await this.#validate(token);
    if (answer.status === 401) {
      // It is the service's own token that has ended.
      this.#login = undefined;
      answer = await this.#validate(token);
    }
    if (answer.status === 404) return null;
    if (answer.status !== 200)
      throw new KeystoneUnavailable(`Asked to validate a token, Keystone answers ${answer.status}.`);
    return (await jsonOf<{ token: TokenBody }>(answer)).token;
  }

  async #validate(token: string): Promise<Response> {
    this.#login ??= this.#account.logIn();
    const asked = this.#login;
    const { identityUrl, token: own } = await asked.catch((error: unknown) => {
      // The next request tries again.
      if (this.#login === asked) this.#login = undefined;
      throw error;
    });
    const headers = {
      accept: 'application/json',
      'x-auth-token': own,
      'x-subject-token': token,
      'openstack-identity-access-rules': '1',
    };
    return askKeystone(`${identityUrl}/auth/tokens`, { headers });
  }
}
