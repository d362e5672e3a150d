/** Domains, projects, users, roles. */
import type { Json } from './authentication.ts';
import { addCollection, type Collection } from './collection.ts';
import { ApiError, badRequest, conflict } from './errors.ts';
import { showDomain, showProject, showRole, showUser } from './resources.ts';
import { authorise, type Context, optionalText, parameter, requiredText, showList } from './routes.ts';
import type { Domain, Project, Role, User } from './state.ts';

const flag = (body: Json): boolean => body.enabled !== false;

function domains({ state }: Context): Collection<Domain> {
  return {
    singular: 'domain',
    items: state.domains,
    show: showDomain,
    filters: { name: (domain) => domain.name, enabled: (domain) => String(domain.enabled) },
    create(body, newId) {
      const name = requiredText(body, 'name');
      if ([...state.domains.values()].some((domain) => domain.name === name))
        throw conflict(
          `Conflict occurred attempting to store domain - it is not permitted to have two domains with the same name: ${name}.`,
        );
      const id = newId();
      const domain = { id, name, description: optionalText(body, 'description') ?? '', enabled: flag(body) };
      state.domains.set(id, domain);
      return domain;
    },
    change(domain, body) {
      domain.name = optionalText(body, 'name') ?? domain.name;
      domain.description = optionalText(body, 'description') ?? domain.description;
      domain.enabled = typeof body.enabled === 'boolean' ? body.enabled : domain.enabled;
    },
    remove(domain) {
      if (domain.enabled)
        throw new ApiError(403, 'Forbidden', 'Cannot delete a domain that is enabled, please disable it first.');
      state.domains.delete(domain.id);
    },
  };
}

function tagsOf({ tags = [] }: Json): string[] {
  const isTag = (tag: unknown) => typeof tag === 'string' && /^[^,/]{1,255}$/.test(tag);
  if (Array.isArray(tags) && tags.every(isTag)) return tags;
  throw badRequest(`Invalid input for field 'tags': ${JSON.stringify(tags)}`);
}

function projects({ state }: Context): Collection<Project> {
  return {
    singular: 'project',
    items: state.projects,
    show: showProject,
    filters: { name: (project) => project.name, domain_id: (project) => project.domainId },
    create(body, newId) {
      const name = requiredText(body, 'name');
      const domainId = optionalText(body, 'domain_id') ?? 'default';
      const id = newId();
      if ([...state.projects.values()].some((project) => project.name === name && project.domainId === domainId))
        throw conflict(
          'Conflict occurred attempting to store project - it is not permitted to have two projects with either the ' +
            `same name or same id in the same domain: name is ${name}, project id ${id}.`,
        );
      const description = optionalText(body, 'description') ?? '';
      return state.addProject(name, { id, domainId, description, enabled: flag(body), tags: tagsOf(body) });
    },
    change(project, body) {
      project.name = optionalText(body, 'name') ?? project.name;
      project.description = optionalText(body, 'description') ?? project.description;
      project.enabled = typeof body.enabled === 'boolean' ? body.enabled : project.enabled;
    },
    showChanged: () => ({ extra: {} }),
    remove: ({ id }) => state.removeProject(id),
  };
}

function users({ state }: Context): Collection<User> {
  const extras = (body: Json) => {
    const [email, description] = [optionalText(body, 'email'), optionalText(body, 'description')];
    const defaultProjectId = optionalText(body, 'default_project_id');
    return {
      ...(email !== undefined && { email }),
      ...(description !== undefined && { description }),
      ...(defaultProjectId !== undefined && { defaultProjectId }),
    };
  };
  return {
    singular: 'user',
    items: state.users,
    show: showUser,
    filters: {
      name: (user) => user.name,
      domain_id: (user) => user.domainId,
      enabled: (user) => String(user.enabled),
    },
    ownerOf: ({ id }) => id,
    create(body) {
      const name = requiredText(body, 'name');
      const domainId = optionalText(body, 'domain_id') ?? 'default';
      if ([...state.users.values()].some((user) => user.name === name && user.domainId === domainId))
        throw conflict(
          `Conflict occurred attempting to store user - Duplicate entry found with name ${name} at domain ID ${domainId}.`,
        );
      const password = optionalText(body, 'password') ?? null;
      return state.addUser(name, password, { domainId, enabled: flag(body), ...extras(body) });
    },
    change(user, body) {
      user.name = optionalText(body, 'name') ?? user.name;
      Object.assign(user, extras(body));
      if (typeof body.password === 'string') state.setPassword(user, body.password);
      if (typeof body.enabled === 'boolean') state.setUserEnabled(user, body.enabled);
    },
    showChanged: ({ email }) => ({ extra: email === undefined ? {} : { email } }),
    remove: ({ id }) => state.removeUser(id),
  };
}

function roles({ state }: Context): Collection<Role> {
  return {
    singular: 'role',
    items: state.roles,
    show: showRole,
    filters: { name: (role) => role.name },
    create(body) {
      const name = requiredText(body, 'name');
      if ([...state.roles.values()].some((role) => role.name === name))
        throw conflict(`Conflict occurred attempting to store role - Duplicate entry found with name ${name}.`);
      return state.addRole(name, { description: optionalText(body, 'description') ?? null });
    },
    change(role, body) {
      role.description = optionalText(body, 'description') ?? role.description;
    },
    remove(role) {
      if (role.immutable)
        throw new ApiError(
          403,
          'Forbidden',
          `Cannot delete resource with id ${role.id} because it is immutable. Set resource option immutable to false ` +
            'first.',
        );
      state.roles.delete(role.id);
      state.assignments = state.assignments.filter((held) => held.roleId !== role.id);
    },
  };
}

export function addIdentityRoutes(context: Context): void {
  const { app, state, base } = context;
  addCollection(context, domains(context));
  addCollection(context, projects(context));
  addCollection(context, users(context));
  addCollection(context, roles(context));

  app.get('/v3/users/:id/projects', (request) => {
    const userId = parameter(request, 'id');
    authorise(context, request, 'list_user_projects', userId);
    const found = [...state.projects.values()].filter(
      ({ id }) => state.rolesOf(userId, { kind: 'project', id }).length > 0,
    );
    return showList(
      base(),
      request,
      'projects',
      found.map((project) => showProject(base(), project)),
    );
  });
}
