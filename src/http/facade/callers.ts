/**
 * Whether a caller may validate tokens, and revoke them, in the local Keystone's eyes. Answers about foreign tokens are for the former
 * only, or the facade would tell anybody what any token is worth; and to see a token is no right to end it.
 */
import { randomBytes } from 'node:crypto';
import { Bounded } from '../../core/bounded.ts';
import { type Clock, monotonic } from '../../core/clock.ts';
import { AllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import { hmacSha256 } from '../../crypto/bytes.ts';
import type { Keystone } from '../../lproxy/keystone.ts';
import { isKeystoneError } from '../../lproxy/keystoneBodies.ts';
import type { Upstream, UpstreamAnswer } from '../../lproxy/upstream.ts';
import { type Answer, keystoneError, unauthorised } from './answers.ts';
import { type CallerHeaders, headerOf } from './headers.ts';
import { readAnswer } from './relay.ts';

export type Caller =
  | { readonly kind: 'may'; readonly user: { readonly id: string; readonly name: string } }
  | { readonly kind: 'refused'; readonly answer: Answer };

interface Known {
  readonly caller: Extract<Caller, { kind: 'may' }>;
  /** By the monotonic clock. */
  readonly checkedAt: number;
}

interface Refused {
  readonly answer: Answer;
  /** By the monotonic clock. */
  readonly refusedAt: number;
}

export interface CallersOptions {
  readonly upstream: Upstream;
  readonly keystone: Pick<Keystone, 'ownToken' | 'validateToken'>;
  readonly clock: Clock;
  readonly root: string;
}

export class Callers {
  readonly #options: CallersOptions;
  readonly #key = randomBytes(32);
  readonly #known = new Bounded<Known>(facadeLimits.callers);
  readonly #asking = new Map<string, Promise<Caller>>();
  /** When Keystone last answered a caller that it knows. */
  readonly #met = new Bounded<number>(facadeLimits.callers);
  /** What it said to those that it does not know. */
  readonly #refused = new Bounded<Refused>(facadeLimits.callers);

  constructor(options: CallersOptions) {
    this.#options = options;
  }

  /**
   * What Keystone says of this caller, at most 10 s old where it said yes.
   * @throws AllianceError where Keystone does not answer
   */
  check(token: string | undefined): Caller | Promise<Caller> {
    if (!token) return { kind: 'refused', answer: unauthorised(this.#options.root) };
    const id = this.#idOf(token);
    const known = this.#fresh(id);
    if (known) return known;
    const answer = this.refusalOf(id);
    return answer ? { kind: 'refused', answer } : this.#askOnce(id, token);
  }

  /**
   * The same of ending tokens of somebody else. Keystone's policy comes before the token: asked to end none, it says 403 to those who
   * may not, and to others that there is none. It is asked each time.
   * @throws AllianceError where Keystone does not answer, or not so
   */
  async checkRevoking(token: string | undefined): Promise<Caller> {
    const caller = await this.check(token);
    if (caller.kind === 'refused') return caller;
    const answer = await this.#send('DELETE', '/v3/auth/tokens', ['x-auth-token', token!]);
    if (answer.status === 401 || answer.status === 403) return { kind: 'refused', answer: asGiven(answer) };
    if (answer.status === 404 && isKeystoneError(answer.text, 404)) return caller;
    throw unforeseen(answer.status);
  }

  /** Whether Keystone said a moment ago that this caller may; nobody is asked. */
  isKnown(token: string | undefined): boolean {
    return !!token && this.#fresh(this.#idOf(token)) !== undefined;
  }

  /** Stands for what Keystone knows a caller by; undefined where that is more than his token. */
  whoIs({ passed, values }: Pick<CallerHeaders, 'passed' | 'values'>): string | undefined {
    if (values.has('x-service-token') || headerOf(passed, 'authorization') !== undefined) return undefined;
    return this.#idOf(values.get('x-auth-token') ?? '');
  }

  /** Whether Keystone knew the caller within the last minutes: it decides what room there is for him, and gives no right. */
  isMet(who: string | undefined): boolean {
    const metAt = who === undefined ? undefined : this.#met.get(who);
    return metAt !== undefined && this.#now() - metAt < facadeLimits.metMs;
  }

  /** What Keystone said a moment ago to the same caller, if it was that it does not know him: strangers do not cost it each time. */
  refusalOf(who: string | undefined): Answer | undefined {
    const refused = who === undefined ? undefined : this.#refused.get(who);
    return refused && this.#now() - refused.refusedAt < facadeLimits.refusedMs ? refused.answer : undefined;
  }

  /** What Keystone has just answered to a question of this caller's about a token. */
  learn(who: string | undefined, { status, headers }: Pick<UpstreamAnswer, 'status' | 'headers'>, body: Buffer): void {
    if (who === undefined) return;
    if (status === 200 || status === 204 || status === 403 || status === 404) {
      this.#met.set(who, this.#now());
      return;
    }
    const text = status === 401 ? body.toString() : '';
    if (!isKeystoneError(text, 401)) return;
    // It may be a fault of Keystone's if it knew him until now: then it has to say so twice.
    if (this.#met.get(who) === undefined)
      this.#refused.set(who, { answer: asGiven({ status, headers, text }), refusedAt: this.#now() });
    this.#met.delete(who);
  }

  #now(): number {
    return monotonic(this.#options.clock);
  }

  #idOf(token: string): string {
    return hmacSha256(this.#key, token).toString('base64');
  }

  #fresh(id: string): Known['caller'] | undefined {
    const known = this.#known.get(id);
    const age = known === undefined ? Number.NaN : this.#now() - known.checkedAt;
    return known && age < facadeLimits.callerMs ? known.caller : undefined;
  }

  #askOnce(id: string, token: string): Promise<Caller> {
    const asking = this.#asking.get(id);
    if (asking) return asking;
    const asked = this.#ask(id, token).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asked);
    return asked;
  }

  async #ask(id: string, token: string): Promise<Caller> {
    const { keystone } = this.#options;
    const checkedAt = this.#now();
    const own = await keystone.ownToken();
    let answer = await this.#probe(token, own);
    // Our own token may be gone at Keystone before its time.
    if (answer.status === 404) answer = await this.#probe(token, await keystone.ownToken(own));
    this.learn(id, answer, answer.body);
    if (answer.status === 401 || answer.status === 403) return { kind: 'refused', answer: asGiven(answer) };
    if (answer.status !== 200) throw unforeseen(answer.status);
    const named = await keystone.validateToken(token, { catalog: false });
    if (named.status !== 'valid') return { kind: 'refused', answer: unauthorised(this.#options.root) };
    const { id: userId, name } = named.token.user;
    const caller = { kind: 'may', user: { id: userId, name } } as const;
    this.#known.set(id, { caller, checkedAt });
    return caller;
  }

  /** May this caller see a token of somebody else's, ours? */
  #probe(token: string, own: string) {
    return this.#send('GET', '/v3/auth/tokens?nocatalog', ['x-auth-token', token, 'x-subject-token', own]);
  }

  async #send(method: string, path: string, tokens: readonly string[]) {
    const signal = AbortSignal.timeout(facadeLimits.callerTimeoutMs);
    const headers = ['accept', 'application/json', ...tokens];
    const answer = await this.#options.upstream.send({ method, path, headers, signal });
    const body = await readAnswer(answer, facadeLimits.errorBytes);
    return { ...answer, body, text: body.toString() };
  }
}

const unforeseen = (status: number): AllianceError =>
  new AllianceError('keystone_unreachable', { details: `Asked about a caller, it answered ${status}.` });

/** A refusal with Keystone's own words. */
function asGiven({ status, headers, text }: Pick<UpstreamAnswer, 'status' | 'headers'> & { text: string }): Answer {
  const kept = ['content-type', 'www-authenticate'].flatMap((name) => {
    const value = headerOf(headers, name);
    return value === undefined ? [] : [name, value];
  });
  return text === '' ? keystoneError(status, '', kept) : { status, headers: kept, body: text };
}
