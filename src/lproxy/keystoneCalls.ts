/** One operation at Keystone: measured, in line within the concurrency limit, within its time, with the broker's own token. */
import PQueue from 'p-queue';
import { systemClock } from '../core/clock.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { keystoneLimits } from '../core/limits.ts';
import { parsePage, type RowSchema } from './keystoneBodies.ts';
import {
  createKeystoneHttp,
  type HttpAnswer,
  type HttpRequest,
  type KeystoneHttp,
  type KeystoneLimits,
} from './keystoneHttp.ts';
import { OwnLogin } from './keystoneLogin.ts';
import type { KeystoneOperation, KeystoneOptions, KeystoneOutcome } from './keystoneTypes.ts';

/** What is left of an operation's time, and how to send within it. */
export interface Call {
  /** Without the broker's token. */
  send(request: Omit<HttpRequest, 'signal'>): Promise<HttpAnswer>;
  /** With it, and once more with a new one if Keystone no longer takes it. For requests that may be repeated. */
  sendAuthorised(request: Omit<HttpRequest, 'signal' | 'repeatable'>): Promise<TimedAnswer>;
}

export interface TimedAnswer extends HttpAnswer {
  /** When the request was sent, ms. */
  readonly askedAt: number;
}

export interface KeystoneCalls {
  run<T>(operation: KeystoneOperation, work: (call: Call) => Promise<T>): Promise<T>;
  list<T>(operation: KeystoneOperation, list: ListRequest<T>): Promise<T[]>;
  /** The broker's own token, other than `stale`. */
  ownToken(stale?: string): Promise<string>;
  /** The same as it is, without asking; undefined where there is none. */
  heldToken(): string | undefined;
  /** Gets the broker's own token, if it has none that still counts. */
  login(): Promise<void>;
  close(): Promise<void>;
}

type ListKey =
  | 'services'
  | 'endpoints'
  | 'regions'
  | 'projects'
  | 'domains'
  | 'users'
  | 'groups'
  | 'roles'
  | 'role_inferences'
  | 'role_assignments';

export interface ListRequest<T> {
  /** Of the list, and its path. */
  readonly key: ListKey;
  readonly row: RowSchema<T>;
  readonly filter?: Readonly<Record<string, string | undefined>>;
}

export const unexpected = (answer: HttpAnswer) =>
  new AllianceError('keystone_malformed', { details: `It answered ${answer.status}.` });

/** A query string of those parameters that have a value; an empty value is a bare word. */
export function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const words = Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => (value === '' ? key : `${key}=${encodeURIComponent(value!)}`));
  return words.length > 0 ? `?${words.join('&')}` : '';
}

/** Only the query of a link to the next page is taken: where to ask is ours to say. */
function nextSearch(next: string | null): string | null {
  if (next === null) return null;
  const base = 'http://keystone.invalid';
  if (!URL.canParse(next, base)) throw new AllianceError('keystone_malformed', { details: 'links.next is no URL.' });
  return new URL(next, base).search || null;
}

async function readPages<T>(call: Call, { key, row, filter = {} }: ListRequest<T>, most: number): Promise<T[]> {
  const items: T[] = [];
  let read = 0;
  let search: string | null = query(filter);
  while (search !== null && read < most) {
    const answer: HttpAnswer = await call.sendAuthorised({ method: 'GET', path: `/${key}${search}` });
    if (answer.status !== 200) throw unexpected(answer);
    const { rows, next } = parsePage(answer.text, key, row);
    for (const { enabled, item } of rows.slice(0, most - read)) if (enabled) items.push(item);
    read += rows.length;
    search = rows.length > 0 ? nextSearch(next) : null;
  }
  return items;
}

/** A login is shared, so one caller's time limit ends only that caller's waiting. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal, late: KeystoneHttp['late']): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(late('No login in time.'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

const overloaded = (details: string) => new AllianceError('overloaded', { details, retryAfterMs: 1000 });

export function createKeystoneCalls(options: KeystoneOptions): KeystoneCalls {
  const limits: KeystoneLimits = { ...keystoneLimits, ...options.limits };
  const { authUrl, cacert, credentials, scope, clock = systemClock } = options;
  const http = createKeystoneHttp({ authUrl, limits, ...(cacert !== undefined && { cacert }) });
  const queue = new PQueue({ concurrency: limits.concurrency });
  let closed = false;
  const login = new OwnLogin({
    http,
    credentials,
    ...(scope !== undefined && { scope }),
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

  function callWithin(signal: AbortSignal): Call {
    return {
      send: (request) => http.send({ ...request, signal }),
      async sendAuthorised(request) {
        const send = async (token: string): Promise<TimedAnswer> => {
          const askedAt = clock.now();
          const headers = { ...request.headers, 'x-auth-token': token };
          return { ...(await http.send({ ...request, signal, repeatable: true, headers })), askedAt };
        };
        const token = await untilAborted(login.token(), signal, http.late);
        let answer = await send(token);
        if (answer.status === 401) answer = await send(await untilAborted(login.replace(token), signal, http.late));
        if (answer.status === 401 || answer.status === 403)
          throw new AllianceError('keystone_refused', { details: `${request.method} answered ${answer.status}.` });
        return answer;
      },
    };
  }

  /** The time limit includes waiting in line. */
  function run<T>(operation: KeystoneOperation, work: (call: Call) => Promise<T>): Promise<T> {
    return observe(operation, async () => {
      if (queue.size >= limits.queue) throw overloaded('Too many requests wait for Keystone.');
      const signal = AbortSignal.timeout(limits.requestTimeoutMs);
      return queue.add(() => {
        if (closed) throw new AllianceError('shutting_down');
        if (signal.aborted) throw overloaded('The request waited too long for its turn at Keystone.');
        return work(callWithin(signal));
      });
    });
  }

  return {
    run,
    ownToken: (stale) => (stale === undefined ? login.token() : login.replace(stale)),
    heldToken: () => login.held,
    async login() {
      await untilAborted(login.token(), AbortSignal.timeout(limits.requestTimeoutMs), http.late);
    },
    list: (operation, list) => run(operation, (call) => readPages(call, list, limits.listItems)),
    async close() {
      closed = true;
      await http.close();
    },
  };
}
