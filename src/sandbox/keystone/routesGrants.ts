/** Roles of users on projects, domains and the system; and application credentials, which build on them. */
import { randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Json } from './authentication.ts';
import { ApiError, conflict, couldNotFind, forbidden } from './errors.ts';
import { showApplicationCredential, showAssignment, showGroupAssignment, showRole } from './resources.ts';
import { authorise, bodyOf, type Context, optionalText, parameter, requiredText, search, showList } from './routes.ts';
import { type ApplicationCredential, type Assignment, type KeystoneState, newId, on } from './state.ts';

interface Grant {
  readonly userId: string;
  readonly target: Assignment['target'];
}

function addGrants(context: Context, prefix: string, kind: Assignment['target']['kind']): void {
  const { app, state, base } = context;
  const system = kind === 'system' ? 'system_' : '';
  const grantOf = (request: FastifyRequest): Grant => {
    const [id, userId] = [parameter(request, 'target'), parameter(request, 'user')];
    if (kind !== 'system' && !state[`${kind}s`].has(id)) throw couldNotFind(kind, id);
    if (!state.users.has(userId)) throw couldNotFind('user', userId);
    return { userId, target: kind === 'system' ? { kind } : { kind, id } };
  };
  const roleOf = (request: FastifyRequest): string => {
    const id = parameter(request, 'role');
    if (!state.roles.has(id)) throw couldNotFind('role', id);
    return id;
  };
  const action = (verb: string) => (kind === 'system' ? `${verb}_system_grant_for_user` : `${verb}_grant`);

  app.get(`${prefix}/users/:user/roles`, (request) => {
    authorise(context, request, `list_${system}grants${system ? '_for_user' : ''}`);
    const { userId, target } = grantOf(request);
    const held = state.assignments.filter((each) => each.userId === userId && on(each.target, target));
    const roles = held.map((each) => state.roles.get(each.roleId)).filter((role) => role !== undefined);
    return showList(
      base(),
      request,
      'roles',
      roles.map((role) => showRole(base(), role)),
    );
  });

  const path = `${prefix}/users/:user/roles/:role`;
  app.put(path, (request, reply) => {
    authorise(context, request, action('create'));
    const { userId, target } = grantOf(request);
    state.grant(userId, roleOf(request), target);
    return reply.code(204).send();
  });
  app.get(path, (request, reply) => {
    authorise(context, request, action('check'));
    const { userId, target } = grantOf(request);
    const roleId = roleOf(request);
    const held = state.assignments.some(
      (each) => each.userId === userId && each.roleId === roleId && on(each.target, target),
    );
    if (!held) throw couldNotFind('role assignment with role', roleId);
    return reply.code(204).send();
  });
  app.delete(path, (request, reply) => {
    authorise(context, request, action('revoke'));
    const { userId, target } = grantOf(request);
    const roleId = roleOf(request);
    if (!state.withdraw(userId, roleId, target)) throw couldNotFind('role assignment with role', roleId);
    return reply.code(204).send();
  });
}

/** What users hold in the end: what their groups hold as well, and what roles bring with them. */
function effectiveAssignments(state: KeystoneState): Assignment[] {
  const ofGroups = state.groupAssignments.flatMap(({ groupId, ...held }) =>
    [...(state.groups.get(groupId)?.members ?? [])].map((userId) => ({ userId, ...held })),
  );
  return [...state.assignments, ...ofGroups].flatMap(({ userId, roleId, target }) =>
    state.withImplied([roleId]).map(({ id }) => ({ userId, roleId: id, target })),
  );
}

function addAssignments(context: Context): void {
  const { app, state, base } = context;
  const ofGroup = (request: FastifyRequest) => {
    const wanted = search(request);
    if ('effective' in wanted)
      throw new ApiError(
        400,
        'Bad Request',
        'Combining effective and group filter will always result in an empty list.',
      );
    return state.groupAssignments
      .filter((held) => held.groupId === wanted['group.id'])
      .map((held) => showGroupAssignment(base(), held));
  };
  app.get('/v3/role_assignments', (request) => {
    authorise(context, request, 'list_role_assignments');
    const wanted = search(request);
    const effective = 'effective' in wanted;
    if (wanted['group.id'] !== undefined) return showList(base(), request, 'role_assignments', ofGroup(request));
    const targetId = (held: Assignment, kind: string) =>
      held.target.kind === kind && 'id' in held.target ? held.target.id : undefined;
    const found = (effective ? effectiveAssignments(state) : state.assignments).filter(
      (held) =>
        (wanted['user.id'] === undefined || held.userId === wanted['user.id']) &&
        (wanted['role.id'] === undefined || held.roleId === wanted['role.id']) &&
        (wanted['scope.project.id'] === undefined || targetId(held, 'project') === wanted['scope.project.id']) &&
        (wanted['scope.domain.id'] === undefined || targetId(held, 'domain') === wanted['scope.domain.id']),
    );
    const shown = found.map((held) => showAssignment(state, base(), held, 'include_names' in wanted));
    return showList(base(), request, 'role_assignments', shown);
  });
}

function addApplicationCredentials(context: Context): void {
  const { app, state, base } = context;
  const path = '/v3/users/:user/application_credentials';
  const find = (request: FastifyRequest): ApplicationCredential => {
    const found = state.applicationCredentials.get(parameter(request, 'id'));
    if (found?.userId !== parameter(request, 'user'))
      throw couldNotFind('Application Credential', parameter(request, 'id'));
    return found;
  };

  app.post(path, (request, reply) => {
    const credential = createApplicationCredential(context, request);
    reply.code(201);
    const { links, ...shown } = showApplicationCredential(state, base(), credential);
    return { application_credential: { ...shown, secret: credential.secret, links } };
  });
  app.get(path, (request) => {
    const userId = parameter(request, 'user');
    authorise(context, request, 'list_application_credentials', userId);
    const found = [...state.applicationCredentials.values()].filter((each) => each.userId === userId);
    const shown = found.map((each) => showApplicationCredential(state, base(), each));
    return showList(base(), request, 'application_credentials', shown);
  });
  app.get(`${path}/:id`, (request) => {
    authorise(context, request, 'get_application_credential', parameter(request, 'user'));
    return { application_credential: showApplicationCredential(state, base(), find(request)) };
  });
  app.delete(`${path}/:id`, (request, reply) => {
    authorise(context, request, 'delete_application_credential', parameter(request, 'user'));
    state.applicationCredentials.delete(find(request).id);
    return reply.code(204).send();
  });
}

function createApplicationCredential(context: Context, request: FastifyRequest): ApplicationCredential {
  const { state, tokens } = context;
  const userId = parameter(request, 'user');
  const { record } = authorise(context, request, 'create_application_credential', userId);
  if (record.applicationCredentialId !== null)
    throw forbidden(
      "Using method 'application_credential' is not allowed for managing additional application credentials.",
    );
  const body = bodyOf(request, 'application_credential');
  const name = requiredText(body, 'name');
  if (record.scope?.kind !== 'project')
    throw new ApiError(400, 'Bad Request', 'A project-scoped token is required to produce an application credential.');
  if ([...state.applicationCredentials.values()].some((each) => each.userId === userId && each.name === name))
    throw conflict(
      `Conflict occurred attempting to store application_credential - Duplicate entry found with name ${name}.`,
    );
  const credential: ApplicationCredential = {
    id: newId(),
    name,
    description: optionalText(body, 'description') ?? null,
    userId,
    projectId: record.scope.id,
    secret: optionalText(body, 'secret') ?? randomBytes(64).toString('base64url'),
    roleIds: wantedRoles(context, body, tokens.rolesOf(record)),
    expiresAt: expiryOf(body),
    unrestricted: typeof body.unrestricted === 'boolean' ? body.unrestricted : null,
  };
  state.applicationCredentials.set(credential.id, credential);
  return credential;
}

/** Those asked for by id or name, which must be held; all that are held when none is asked for. */
function wantedRoles({ state }: Context, body: Json, held: readonly { readonly id: string; readonly name: string }[]) {
  if (!Array.isArray(body.roles)) return held.map(({ id }) => id);
  return body.roles.map((wanted: Json) => {
    const role = [...state.roles.values()].find(({ id, name }) => id === wanted.id || name === wanted.name);
    if (!role) throw couldNotFind('role', String(wanted.id ?? wanted.name));
    if (!held.some(({ id }) => id === role.id))
      throw new ApiError(
        400,
        'Bad Request',
        `Invalid application credential: Could not find role assignment with role: ${role.id}.`,
      );
    return role.id;
  });
}

function expiryOf(body: Json): number | null {
  const text = optionalText(body, 'expires_at');
  if (text === undefined) return null;
  const at = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
  if (Number.isNaN(at)) throw new ApiError(400, 'Bad Request', 'Unable to parse expiration time.');
  return at;
}

export function addGrantRoutes(context: Context): void {
  addGrants(context, '/v3/projects/:target', 'project');
  addGrants(context, '/v3/domains/:target', 'domain');
  addGrants(context, '/v3/system', 'system');
  addAssignments(context);
  addApplicationCredentials(context);
}
