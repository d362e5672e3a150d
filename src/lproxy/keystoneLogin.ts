/** The broker's own token: got once for all callers, renewed in time, replaced when Keystone no longer takes it. */
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { type Credentials, isLoginRefusal, loginBody, parseToken, type Scope } from './keystoneBodies.ts';
import type { KeystoneHttp, KeystoneLimits } from './keystoneHttp.ts';

interface OwnToken {
  readonly token: string;
  readonly renewAt: number;
  readonly expiresAt: number;
}

export interface OwnLoginOptions {
  readonly http: KeystoneHttp;
  readonly credentials: Credentials;
  readonly scope?: Scope;
  readonly clock: Clock;
  readonly limits: KeystoneLimits;
  /** Measures one login. */
  readonly observe: <T>(login: () => Promise<T>) => Promise<T>;
}

export class OwnLogin {
  readonly #options: OwnLoginOptions;
  #current: OwnToken | undefined;
  #inFlight: Promise<OwnToken> | undefined;
  #refused: { error: AllianceError; until: number } | undefined;

  constructor(options: OwnLoginOptions) {
    this.#options = options;
  }

  /** As it is now, expired or not; undefined before the first login. */
  get held(): string | undefined {
    return this.#current?.token;
  }

  /** A token that has not expired; shortly before it does, a new one is fetched while the old one still serves. */
  async token(): Promise<string> {
    const now = this.#options.clock.now();
    const current = this.#current;
    if (!current || current.expiresAt <= now) return (await this.#login()).token;
    // A failure here is measured, and met again by the first caller after expiry.
    if (current.renewAt <= now) this.#login().catch(() => undefined);
    return current.token;
  }

  /** A token other than `stale`, which Keystone answered with 401. */
  async replace(stale: string): Promise<string> {
    if (this.#current?.token === stale) this.#current = undefined;
    return this.token();
  }

  #login(): Promise<OwnToken> {
    this.#inFlight ??= this.#options
      .observe(() => this.#fetch())
      .finally(() => {
        this.#inFlight = undefined;
      });
    return this.#inFlight;
  }

  async #fetch(): Promise<OwnToken> {
    const { http, credentials, scope, clock, limits } = this.#options;
    // Keystone may lock a user after too many failures: a refusal stands for a while, however many calls come in.
    if (this.#refused && clock.now() < this.#refused.until) throw this.#refused.error;
    const answer = await http.send({
      method: 'POST',
      path: '/auth/tokens?nocatalog',
      body: loginBody(credentials, scope),
      repeatable: true,
      signal: AbortSignal.timeout(limits.requestTimeoutMs),
    });
    if (isLoginRefusal(answer.text, answer.status)) {
      const error = new AllianceError('keystone_refused', { details: `Login of the broker: ${answer.status}.` });
      this.#refused = { error, until: clock.now() + limits.refusedPauseMs };
      throw error;
    }
    const token = answer.header('x-subject-token');
    if (answer.status !== 201 || !token)
      throw new AllianceError('keystone_malformed', { details: `Login of the broker: ${answer.status} and no token.` });
    return this.#keep(token, answer.text);
  }

  #keep(token: string, body: string): OwnToken {
    const { clock, limits } = this.#options;
    const { expiresAt, issuedAt } = parseToken(body);
    const now = clock.now();
    // Its life is counted from now on our clock, so that a skew between the two does no harm.
    const lifeMs = Math.max(0, expiresAt - (issuedAt ?? now));
    const renewAt = now + lifeMs - Math.min(limits.renewBeforeMs, lifeMs / 5);
    this.#current = { token, renewAt, expiresAt: now + lifeMs };
    this.#refused = undefined;
    return this.#current;
  }
}
