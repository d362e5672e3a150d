/** `POST /v3/auth/tokens`: who it is (password, application credential, token) and for what (project, domain, system). */
import { badRequest, couldNotFind, expecting, notFound, unauthorized } from './errors.ts';
import type { ApplicationCredential, KeystoneState, Project, TokenRecord, TokenScope, User } from './state.ts';
import type { Tokens } from './tokens.ts';

export type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function member(holder: Json, name: string, of: string): Json {
  const value = holder[name];
  if (!isObject(value)) throw expecting(name, of);
  return value;
}

interface Proven {
  readonly user: User;
  readonly methods: string[];
  readonly parent?: TokenRecord;
  readonly credential?: ApplicationCredential;
}

export class Authentication {
  readonly #state: KeystoneState;
  readonly #tokens: Tokens;

  constructor(state: KeystoneState, tokens: Tokens) {
    this.#state = state;
    this.#tokens = tokens;
  }

  authenticate(body: Json): TokenRecord {
    const auth = member(body, 'auth', 'request body');
    const identity = auth.identity;
    if (!isObject(identity)) throw badRequest("'identity' is a required property");
    if (!Array.isArray(identity.methods)) throw badRequest("'methods' is a required property");
    const proven = this.#prove(identity, identity.methods);
    const scope = this.#scope(auth.scope, proven);
    return this.#tokens.issue({
      user: proven.user,
      scope,
      methods: proven.methods,
      ...(proven.parent && { parent: proven.parent }),
      ...(proven.credential && { applicationCredentialId: proven.credential.id }),
    });
  }

  #prove(identity: Json, methods: readonly unknown[]): Proven {
    let proven: Proven | undefined;
    for (const method of methods) {
      const part = member(identity, String(method), 'identity');
      if (method === 'password') proven = { ...this.#password(part), methods: ['password'] };
      else if (method === 'token') proven = this.#token(part);
      else if (method === 'application_credential') proven = this.#applicationCredential(part);
      else throw unauthorized('Attempted to authenticate with an unsupported method.');
    }
    if (!proven) throw unauthorized();
    return proven;
  }

  #password(part: Json): { user: User } {
    const given = member(part, 'user', 'password');
    const user = this.#user(given);
    if (!user?.enabled || user.password === null || given.password !== user.password) throw unauthorized();
    return { user };
  }

  #token(part: Json): Proven {
    if (typeof part.id !== 'string') throw expecting('id', 'token');
    const parent = this.#tokens.check(part.id);
    return { user: this.#state.users.get(parent.userId)!, methods: ['token'], parent };
  }

  #applicationCredential(part: Json): Proven {
    const credential = this.#findCredential(part);
    const owner = this.#state.users.get(credential?.userId ?? '');
    const expired = credential?.expiresAt != null && credential.expiresAt <= this.#state.clock.now();
    if (!credential || !owner?.enabled || expired || part.secret !== credential.secret) throw unauthorized();
    return { user: owner, methods: ['application_credential'], credential };
  }

  /** Like Keystone, it tells an unknown id and an unknown user by 404, but an unknown name by 401. */
  #findCredential(part: Json): ApplicationCredential | undefined {
    const { applicationCredentials } = this.#state;
    if (typeof part.id === 'string') {
      const credential = applicationCredentials.get(part.id);
      if (!credential) throw couldNotFind('Application Credential', part.id);
      return credential;
    }
    const given = member(part, 'user', 'application_credential');
    const user = this.#user(given);
    if (!user) throw couldNotFind('user', String(given.id ?? given.name));
    return [...applicationCredentials.values()].find((each) => each.name === part.name && each.userId === user.id);
  }

  #scope(scope: unknown, { user, credential }: Proven): TokenScope {
    if (credential) {
      if (scope !== undefined)
        throw unauthorized(
          'Error authenticating with application credential: Application credentials cannot request a scope.',
          { identity: {} },
        );
      return { kind: 'project', id: credential.projectId };
    }
    if (scope === 'unscoped') return null;
    if (scope === undefined) return this.#defaultScope(user);
    if (!isObject(scope)) throw badRequest('Invalid input for field scope');
    if (isObject(scope.system)) return { kind: 'system' };
    if (isObject(scope.project)) return this.#projectScope(scope.project);
    if (isObject(scope.domain)) return this.#domainScope(scope.domain);
    throw badRequest('Invalid input for field scope');
  }

  /** The user's default project, if there still is a way into it. */
  #defaultScope(user: User): TokenScope {
    const project = this.#state.projects.get(user.defaultProjectId ?? '');
    if (!project?.enabled) return null;
    const scope = { kind: 'project', id: project.id } as const;
    return this.#state.rolesOf(user.id, scope).length > 0 ? scope : null;
  }

  #projectScope(given: Json): TokenScope {
    const project = this.#named<Project>(this.#state.projects, given, 'project');
    if (!project?.enabled || !this.#state.domains.get(project.domainId)?.enabled) throw unauthorized();
    return { kind: 'project', id: project.id };
  }

  #domainScope(given: Json): TokenScope {
    const domain = this.#domain(given);
    if (!domain?.enabled) throw unauthorized();
    return { kind: 'domain', id: domain.id };
  }

  #user(given: Json): User | undefined {
    const user = this.#named<User>(this.#state.users, given, 'user');
    return user && this.#state.domains.get(user.domainId)?.enabled ? user : undefined;
  }

  #domain(given: Json) {
    const { domains } = this.#state;
    if (typeof given.id === 'string') return domains.get(given.id);
    return [...domains.values()].find((domain) => domain.name === given.name);
  }

  /** By id, or by name and domain. */
  #named<T extends { id: string; name: string; domainId: string }>(
    map: ReadonlyMap<string, T>,
    given: Json,
    target: string,
  ): T | undefined {
    if (typeof given.id === 'string') return map.get(given.id);
    if (typeof given.name !== 'string') throw expecting('id or name', target);
    const domain = this.#domain(member(given, 'domain', target));
    return [...map.values()].find((each) => each.name === given.name && each.domainId === domain?.id);
  }
}

/** The token named in X-Subject-Token. */
export function subjectToken(headers: Readonly<Record<string, unknown>>): string {
  const token = headers['x-subject-token'];
  if (typeof token !== 'string' || token === '') throw notFound('No token in the request');
  return token;
}
