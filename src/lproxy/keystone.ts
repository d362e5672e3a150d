/**
 * This cloud's Keystone (Identity API v3), as the broker's own user. Requests go to the configured `authUrl` and nowhere else:
 * no URL from a catalog, a link or a redirect is ever followed.
 */
import { AllianceError } from '../core/errors.ts';
import { tokenLimits } from '../core/limits.ts';
import {
  endpointRow,
  isKeystoneError,
  isLoginRefusal,
  loginBody,
  parseToken,
  parseVersion,
  regionRow,
  serviceRow,
  withoutCatalog,
} from './keystoneBodies.ts';
import { type Call, createKeystoneCalls, query, unexpected } from './keystoneCalls.ts';
import type { HttpAnswer } from './keystoneHttp.ts';
import { createLookups } from './keystoneLookups.ts';
import { createProjects } from './keystoneProjects.ts';
import { parseEvents, type RevocationEvent } from './keystoneRevocations.ts';
import type { Keystone, KeystoneOptions, TokenAnswer, ValidateOptions } from './keystoneTypes.ts';

export type { Credentials, KeystoneEndpoint, KeystoneService, Reference, Scope } from './keystoneBodies.ts';
export type { TaggedProject } from './keystoneProjects.ts';
export type * from './keystoneRows.ts';
export type * from './keystoneTypes.ts';

const tokenForm = new RegExp(`^[A-Za-z0-9._=-]{1,${tokenLimits.tokenBytes}}$`);

/** Refuses what cannot be a token, nor a header. */
function assertForm(token: string): void {
  if (!tokenForm.test(token)) throw new AllianceError('token_form_refused', { field: 'token' });
}

/** Keystone's own 404, which says that there is no such token; a proxy's says nothing. */
const isUnknown = (answer: HttpAnswer): boolean => answer.status === 404 && isKeystoneError(answer.text, 404);

async function validate(call: Call, token: string, options: ValidateOptions): Promise<TokenAnswer> {
  const { allowExpired = false, accessRules = false, catalog = true } = options;
  const search = query({ nocatalog: catalog ? undefined : '', allow_expired: allowExpired ? '1' : undefined });
  const headers = { 'x-subject-token': token, ...(accessRules && { 'openstack-identity-access-rules': '1.0' }) };
  const answer = await call.sendAuthorised({ method: 'GET', path: `/auth/tokens${search}`, headers });
  const { askedAt } = answer;
  if (isUnknown(answer)) return { status: 'invalid', askedAt };
  if (answer.status !== 200) throw unexpected(answer);
  const parsed = parseToken(answer.text);
  return { status: 'valid', body: answer.text, token: parsed, expiresAt: parsed.expiresAt, askedAt };
}

async function issue(call: Call, body: string) {
  const path = '/auth/tokens?nocatalog';
  const answer = await call.send({ method: 'POST', path, body, repeatable: false });
  if (isLoginRefusal(answer.text, answer.status)) throw new AllianceError('credentials_refused');
  const token = answer.header('x-subject-token');
  if (answer.status !== 201 || !token) throw unexpected(answer);
  const { expiresAt } = parseToken(answer.text);
  return { token, body: withoutCatalog(answer.text), expiresAt };
}

/** As the token's own user, who may always do that; only where Keystone refuses so does the broker's user try. */
async function revoke(call: Call, token: string): Promise<boolean> {
  const request = { method: 'DELETE', path: '/auth/tokens', headers: { 'x-subject-token': token } } as const;
  const headers = { ...request.headers, 'x-auth-token': token };
  const answer = await call.send({ ...request, headers, repeatable: true });
  // Whoever calls with a token that is not valid is not authenticated, and it takes a valid one to hear why.
  const refused = answer.status === 401 || answer.status === 403;
  const last = refused ? await call.sendAuthorised(request) : answer;
  if (last.status === 204) return true;
  if (isUnknown(last)) return false;
  throw unexpected(last);
}

async function listRevocations(call: Call, since: number | null): Promise<RevocationEvent[]> {
  const search = query({ since: since === null ? undefined : new Date(since).toISOString() });
  const answer = await call.sendAuthorised({ method: 'GET', path: `/OS-REVOKE/events${search}`, large: true });
  if (answer.status !== 200) throw unexpected(answer);
  return parseEvents(answer.text);
}

async function readVersion(call: Call) {
  const answer = await call.send({ method: 'GET', path: '', repeatable: true });
  if (answer.status !== 200) throw unexpected(answer);
  return parseVersion(answer.text);
}

/** @throws AllianceError configuration for an authUrl that is none */
export function createKeystone(options: KeystoneOptions): Keystone {
  const calls = createKeystoneCalls(options);

  const listServices: Keystone['listServices'] = ({ type, name } = {}) =>
    calls.list('services', { key: 'services', row: serviceRow, filter: { type, name } });

  const listEndpoints: Keystone['listEndpoints'] = ({ serviceId, interface: kind, region } = {}) => {
    const filter = { service_id: serviceId, interface: kind, region_id: region };
    return calls.list('endpoints', { key: 'endpoints', row: endpointRow, filter });
  };

  const endpointUrl: Keystone['endpointUrl'] = async (type) => {
    const choice = {
      interface: options.interface ?? 'public',
      ...(options.region !== undefined && { region: options.region }),
    };
    for (const { id: serviceId } of await listServices({ type })) {
      const [endpoint] = await listEndpoints({ serviceId, ...choice });
      if (endpoint) return endpoint.url;
    }
    return null;
  };

  return {
    async validateToken(token, how = {}) {
      assertForm(token);
      return calls.run('validate', (call) => validate(call, token, how));
    },
    issueToken: (credentials, scope) => calls.run('issue', (call) => issue(call, loginBody(credentials, scope))),
    async revokeToken(token) {
      assertForm(token);
      return calls.run('revoke', (call) => revoke(call, token));
    },
    revocationEvents: (since) => calls.run('revocations', (call) => listRevocations(call, since)),
    listServices,
    listEndpoints,
    listRegions: () => calls.list('regions', { key: 'regions', row: regionRow }),
    ...createLookups(calls),
    ...createProjects(calls),
    endpointUrl,
    ownToken: (stale) => calls.ownToken(stale),
    heldToken: () => calls.heldToken(),
    login: () => calls.login(),
    version: () => calls.run('version', readVersion),
    close: () => calls.close(),
  };
}
