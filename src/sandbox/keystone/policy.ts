/** Who may do what: the rules of Keystone 22's default policy that matter here. */
import { ApiError, forbidden, unauthorized } from './errors.ts';
import type { TokenRecord } from './state.ts';
import type { Tokens } from './tokens.ts';

export interface Caller {
  readonly record: TokenRecord;
  readonly roles: ReadonlySet<string>;
}

/** @throws ApiError 401 */
export function callerOf(tokens: Tokens, header: unknown): Caller {
  try {
    const record = tokens.check(typeof header === 'string' ? header : '');
    return { record, roles: new Set(tokens.rolesOf(record).map((role) => role.name.toLowerCase())) };
  } catch (thrown) {
    throw thrown instanceof ApiError ? unauthorized() : thrown;
  }
}

const isAdmin = ({ roles }: Caller) => roles.has('admin');
const isSystemReader = ({ record, roles }: Caller) => record.scope?.kind === 'system' && roles.has('reader');
const isService = ({ roles }: Caller) => roles.has('service');
const isUser = (userId?: string) => (caller: Caller) => userId !== undefined && caller.record.userId === userId;

type Rule = (caller: Caller, userId?: string) => boolean;

const adminOnly: Rule = (caller) => isAdmin(caller);
const readers: Rule = (caller) => isAdmin(caller) || isSystemReader(caller);
const ownerOrReaders: Rule = (caller, userId) => readers(caller) || isUser(userId)(caller);
const owner: Rule = (caller, userId) => isUser(userId)(caller);
const ownerOrAdmin: Rule = (caller, userId) => isAdmin(caller) || isUser(userId)(caller);
const anyone: Rule = () => true;

const rules = new Map<string, Rule>([
  ['validate_token', (caller, userId) => ownerOrReaders(caller, userId) || isService(caller)],
  ['revoke_token', ownerOrAdmin],
  ['list_revoke_events', (caller) => isAdmin(caller) || isService(caller)],
  ['get_auth_catalog', anyone],
  ['get_auth_projects', anyone],
  ['get_auth_domains', anyone],
  ['get_region', anyone],
  ['list_regions', anyone],
  ['get_user', ownerOrReaders],
  ['list_user_projects', ownerOrReaders],
  ['create_application_credential', owner],
  ['get_application_credential', ownerOrReaders],
  ['list_application_credentials', ownerOrReaders],
  ['delete_application_credential', ownerOrAdmin],
]);

/**
 * Reading what has no rule of its own needs an admin or a system reader, changing it an admin.
 * @param userId owner of what is asked for, where it has one
 * @throws ApiError 403
 */
export function enforce(caller: Caller, action: string, userId?: string): void {
  const fallback = /^(get|list|check)_/.test(action) ? readers : adminOnly;
  const rule = rules.get(action) ?? fallback;
  if (!rule(caller, userId)) throw forbidden(`identity:${action}`);
}
