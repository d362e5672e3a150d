/** Tokens: issue, check, and the body that the API shows of one. Roles and names are looked up at every check, as Keystone does. */
import { randomBytes } from 'node:crypto';
import { couldNotFind, notFound, unauthorized } from './errors.ts';
import {
  formatTime,
  type KeystoneState,
  type Role,
  type TokenRecord,
  type TokenScope,
  type User,
  wholeSecond,
} from './state.ts';
import type { TokenFormat } from './tokenFormat.ts';

/** Keystone's `allow_expired_window`. */
const expiredWindowMs = 48 * 3600 * 1000;
/** What is no longer in that window is forgotten from here on. */
const rememberedTokens = 50_000;

export interface NewToken {
  readonly user: User;
  readonly scope: TokenScope;
  readonly methods: readonly string[];
  readonly applicationCredentialId?: string;
  /** Of the token that this one was got with: its expiry and audit id are handed on. */
  readonly parent?: TokenRecord;
}

export class Tokens {
  readonly #state: KeystoneState;
  readonly #lifeMs: number;
  readonly #format: TokenFormat;

  constructor(state: KeystoneState, lifeMs: number, format: TokenFormat) {
    this.#state = state;
    this.#lifeMs = lifeMs;
    this.#format = format;
  }

  issue({ user, scope, methods, applicationCredentialId, parent }: NewToken): TokenRecord {
    const issuedAt = wholeSecond(this.#state.clock.now());
    const facts = {
      userId: user.id,
      scope,
      methods: parent ? [...new Set([...parent.methods, ...methods])] : methods,
      auditIds: [randomBytes(16).toString('base64url'), ...(parent ? [parent.auditIds.at(-1)!] : [])],
      issuedAt,
      expiresAt: parent?.expiresAt ?? issuedAt + this.#lifeMs,
      applicationCredentialId: applicationCredentialId ?? parent?.applicationCredentialId ?? null,
    };
    const record: TokenRecord = { token: this.#format.format(facts), ...facts };
    if (scope && this.rolesOf(record).length === 0) throw unauthorized();
    this.#prune();
    this.#state.tokens.set(record.token, record);
    return record;
  }

  /** @throws ApiError 404 with Keystone's reason */
  check(token: string, allowExpired = false): TokenRecord {
    const { tokens, clock, users, projects, applicationCredentials } = this.#state;
    const record = tokens.get(token);
    if (!record) throw notFound('Could not recognize Fernet token');
    const { scope } = record;
    const project = scope?.kind === 'project' ? projects.get(scope.id) : undefined;
    if (scope?.kind === 'project' && !project) throw couldNotFind('project', scope.id);
    const deadline = record.expiresAt + (allowExpired ? expiredWindowMs : 0);
    if (deadline <= clock.now() || this.#isRevoked(record)) throw notFound('Failed to validate token');
    if (record.applicationCredentialId && !applicationCredentials.has(record.applicationCredentialId))
      throw couldNotFind('Application Credential', record.applicationCredentialId);
    if (project && !project.enabled)
      throw notFound(`Unable to validate token because project ${project.id} is disabled`);
    if (!users.has(record.userId)) throw couldNotFind('user', record.userId);
    if (record.scope && this.rolesOf(record).length === 0) throw couldNotFind('token', token);
    return record;
  }

  revoke(record: TokenRecord): void {
    this.#state.revoke({ auditId: record.auditIds[0]! });
  }

  rolesOf(record: Pick<TokenRecord, 'userId' | 'scope' | 'applicationCredentialId'>): Role[] {
    if (!record.scope) return [];
    const roles = this.#state.rolesOf(record.userId, record.scope);
    const credential = this.#state.applicationCredentials.get(record.applicationCredentialId ?? '');
    return credential ? roles.filter((role) => credential.roleIds.includes(role.id)) : roles;
  }

  /** The body of the API, members in Keystone's order. */
  body(record: TokenRecord, withCatalog: boolean): { token: Record<string, unknown> } {
    const { users, domains, applicationCredentials } = this.#state;
    const user = users.get(record.userId)!;
    const token: Record<string, unknown> = {
      methods: record.methods,
      user: {
        domain: this.#domain(user.domainId),
        id: user.id,
        name: user.name,
        password_expires_at: null,
      },
      audit_ids: record.auditIds,
      expires_at: formatTime(record.expiresAt),
      issued_at: formatTime(record.issuedAt),
    };
    const { scope } = record;
    if (!scope) return { token };
    const roles = this.rolesOf(record).map(({ id, name }) => ({ id, name }));
    if (scope.kind === 'project') {
      const project = this.#state.projects.get(scope.id)!;
      token.project = { domain: this.#domain(project.domainId), id: project.id, name: project.name };
      token.is_domain = false;
    }
    if (scope.kind === 'domain') token.domain = { id: scope.id, name: domains.get(scope.id)?.name };
    token.roles = roles;
    if (scope.kind === 'system') token.system = { all: true };
    if (withCatalog) token.catalog = this.catalog(record);
    const credential = applicationCredentials.get(record.applicationCredentialId ?? '');
    if (credential)
      token.application_credential = {
        id: credential.id,
        name: credential.name,
        restricted: !credential.unrestricted,
      };
    return { token };
  }

  /** Services and endpoints that are switched on, URLs filled in for the token's project. */
  catalog(record: TokenRecord): unknown[] {
    const { services, endpoints } = this.#state;
    const projectId = record.scope?.kind === 'project' ? record.scope.id : null;
    return [...services.values()]
      .filter((service) => service.enabled)
      .map((service) => ({
        endpoints: [...endpoints.values()]
          .filter((endpoint) => endpoint.enabled && endpoint.serviceId === service.id)
          // An endpoint whose URL needs a project is left out where the token has none.
          .filter((endpoint) => projectId !== null || !projectTemplate.test(endpoint.url))
          .map((endpoint) => ({
            id: endpoint.id,
            interface: endpoint.interface,
            region_id: endpoint.regionId,
            url: endpoint.url.replace(projectTemplate, projectId ?? ''),
            region: endpoint.regionId,
          })),
        id: service.id,
        type: service.type,
        name: service.name,
      }));
  }

  #domain(id: string) {
    return { id, name: this.#state.domains.get(id)?.name };
  }

  #isRevoked(record: TokenRecord): boolean {
    return this.#state.events.some(
      (event) =>
        record.issuedAt <= event.issuedBefore &&
        (event.auditId === undefined || event.auditId === record.auditIds[0]) &&
        (event.userId === undefined || event.userId === record.userId) &&
        (event.projectId === undefined || (record.scope?.kind === 'project' && event.projectId === record.scope.id)),
    );
  }

  #prune(): void {
    const { tokens } = this.#state;
    // The map keeps the order of issue, so the first is the oldest.
    for (const oldest of tokens.keys()) {
      if (tokens.size < rememberedTokens) return;
      tokens.delete(oldest);
    }
  }
}

const projectTemplate = /\$\((?:project_id|tenant_id)\)s|%\((?:project_id|tenant_id)\)s/;
