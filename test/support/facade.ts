/** A facade in front of a Keystone, and what stands for the rest of the federation: verdicts and mappings as the test says. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Clock } from '../../src/core/clock.ts';
import { systemClock } from '../../src/core/clock.ts';
import { parseCloudId } from '../../src/core/ids.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import { silentTelemetry, type Telemetry } from '../../src/core/telemetry.ts';
import { type FacadeFace, type FacadeOptions, startFacade } from '../../src/http/facade/facade.ts';
import { createKeystone } from '../../src/lproxy/keystone.ts';
import { parseToken } from '../../src/lproxy/keystoneBodies.ts';
import type { AuditEntry } from '../../src/model/audit.ts';
import type { Partner } from '../../src/model/partner.ts';
import type { ForeignTokens, ForeignVerdict, Recognised } from '../../src/token/foreign.ts';
import type { Localised } from '../../src/token/localise.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, type RunningKeystone } from './keystoneApi.ts';

export const east = { cloudId: parseCloudId('east'), uid: 'uid-of-east' } as unknown as Partner;

const foreignBody = (more: object = {}): string =>
  JSON.stringify({
    token: {
      methods: ['password'],
      user: { id: 'u-east', name: 'ann', domain: { id: 'd-east', name: 'East' } },
      audit_ids: [randomBytes(16).toString('base64url')],
      expires_at: '2099-01-01T00:00:00.000000Z',
      issued_at: '2026-01-01T00:00:00.000000Z',
      project: { id: 'p-east', name: 'lab', domain: { id: 'd-east', name: 'East' } },
      roles: [{ id: 'r-east', name: 'member' }],
      ...more,
    },
  });

const trace = { rules: [], omissions: [] };

export const denied: Localised = {
  kind: 'denied',
  reason: 'no_rule',
  details: 'None of 3 rules matches.',
  mapping: '0123456789abcdef',
  trace,
};

const accepted: Localised = {
  kind: 'accepted',
  body: '{"token":{"local":true}}',
  rule: '1',
  mapping: '0123456789abcdef',
  trace,
};

export const validVerdict = (source: 'cache' | 'live' | 'stale' = 'live', more: object = {}): ForeignVerdict => {
  const body = foreignBody(more);
  return {
    kind: 'valid',
    partner: east,
    body,
    facts: parseToken(body),
    source,
    ageMs: 0,
    askedAt: 0,
    basis: { key: '', asOf: 0 },
  };
};

/** Foreign tokens as the test says: `a1.east.X`, signed ones and those of `known` are east's. */
export interface Doubles {
  readonly known: Set<string>;
  /** Bare tokens that need no search to be known as east's. */
  readonly recalled: Set<string>;
  /** Tokens whose issuer's answer is remembered. */
  readonly remembered: Set<string>;
  /** Bare tokens that are known to be of other clouds. */
  readonly foreign: Set<string>;
  /** Nobody reads the form `a1.` */
  qualifiedOff: boolean;
  verdict: ForeignVerdict | Error;
  local: Localised | Error;
  revoked: boolean | Error;
  lastFails: Error | undefined;
  /** What the next looks at a verdict show; then that it stands. */
  readonly stands: boolean[];
  /** What happens when one does not. */
  onStands: () => void;
  auditFails: boolean;
  readonly entries: AuditEntry[];
  /** Those of them that are recorded now and then only. */
  readonly noted: AuditEntry[];
  /** Who wanted to know whose tokens are. */
  readonly callers: string[];
  /** What the federation was asked. */
  readonly asked: string[];
  /** What it was told of this cloud's own tokens. */
  readonly own: string[];
}

const outcomeOf = <T>(value: T | Error): Promise<T> =>
  value instanceof Error ? Promise.reject(value) : Promise.resolve(value);

function createForeign(doubles: Doubles): ForeignTokens {
  return {
    recogniseFirst: (token): Recognised | 'unusable' | undefined => {
      if (token.startsWith('eyJ')) {
        doubles.asked.push('signature');
        return { partner: east, token, by: 'jws' };
      }
      if (!token.startsWith('a1.') || doubles.qualifiedOff) return undefined;
      const [, cloudId, ...rest] = token.split('.');
      return cloudId === 'east' ? { partner: east, token: rest.join('.'), by: 'qualified' } : 'unusable';
    },
    isQualified: (token) => token.startsWith('a1.'),
    isForeign: (token) => token.startsWith('a1.') || doubles.foreign.has(token),
    stands: () => {
      const standing = doubles.stands.shift() ?? true;
      if (!standing) doubles.onStands();
      return standing;
    },
    recogniseLast: async (token, { caller } = {}) => {
      doubles.asked.push('last');
      if (caller !== undefined) doubles.callers.push(caller);
      if (doubles.lastFails) throw doubles.lastFails;
      return doubles.known.has(token) ? { partner: east, token, by: 'known' } : undefined;
    },
    recall: (token) => (doubles.recalled.has(token) ? { partner: east, token, by: 'known' } : undefined),
    isRemembered: ({ token }) => doubles.remembered.has(token),
    validate: ({ token }, { allowExpired }) => {
      doubles.asked.push(`validate ${token}${allowExpired ? ' expired' : ''}`);
      return outcomeOf(doubles.verdict);
    },
    revoke: ({ token }) => {
      doubles.asked.push(`revoke ${token}`);
      return outcomeOf(doubles.revoked);
    },
    explain: () => Promise.reject(new Error('not asked here')),
    close: () => undefined,
  };
}

export interface TestFacade {
  readonly url: string;
  readonly face: FacadeFace;
  readonly api: KeystoneApi;
  readonly doubles: Doubles;
  stop(): Promise<void>;
}

export interface TestFacadeOptions extends Partial<Pick<FacadeOptions, 'tls' | 'url' | 'limits' | 'address'>> {
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly telemetry?: Telemetry;
  /** In place of the URL of the Keystone. */
  readonly authUrl?: string;
}

export async function openFacade(keystone: RunningKeystone, options: TestFacadeOptions = {}): Promise<TestFacade> {
  const { clock = systemClock, log = silentLogger, telemetry = silentTelemetry, authUrl = keystone.url } = options;
  const doubles: Doubles = {
    known: new Set(),
    recalled: new Set(),
    remembered: new Set(),
    foreign: new Set(),
    qualifiedOff: false,
    verdict: validVerdict(),
    local: accepted,
    revoked: true,
    lastFails: undefined,
    stands: [],
    onStands: () => undefined,
    auditFails: false,
    entries: [],
    noted: [],
    asked: [],
    callers: [],
    own: [],
  };
  const append = async (entry: AuditEntry) => {
    if (doubles.auditFails) throw new Error('disk full');
    doubles.entries.push(entry);
  };
  const note = async (entry: AuditEntry) => {
    await append(entry);
    doubles.noted.push(entry);
    return true;
  };
  const client = createKeystone({
    authUrl,
    credentials: { method: 'password', user: inDefault('admin'), password: keystone.adminPassword },
    scope: { project: inDefault('admin') },
    clock,
  });
  const face = await startFacade({
    address: { host: '127.0.0.1', port: 0 },
    keystone: client,
    upstream: { authUrl },
    foreign: createForeign(doubles),
    localiser: {
      localise: (_foreign, { catalog, accessRules }) => {
        doubles.asked.push(`localise${catalog ? ' catalog' : ''}${accessRules ? ' rules' : ''}`);
        return outcomeOf(doubles.local);
      },
    },
    audit: { append, note },
    own: {
      issued: ({ token, expiresAt, auditId }) => doubles.own.push(`issued ${token} ${expiresAt} ${auditId}`),
      revoked: () => doubles.own.push('revoked'),
    },
    clock,
    log,
    telemetry,
    ...options,
  }).catch(async (error: unknown) => {
    await client.close();
    throw error;
  });
  const { port } = face.address;
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const stop = async () => {
    await face.close();
    await client.close();
  };
  return { url, face, api: createKeystoneApi(`${url}/v3`), doubles, stop };
}

/** Sends bytes as they are, and resolves to all that comes back until the other side ends. */
export function sendRaw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('error', reject).on('close', () => resolve(answer));
    socket.write(text);
  });
}

/** Status of the first answer in such bytes. */
export const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
