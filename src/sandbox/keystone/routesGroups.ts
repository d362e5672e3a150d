/** Groups of users with their roles, and which roles bring others with them. */
import type { FastifyRequest } from 'fastify';
import { addCollection, type Collection } from './collection.ts';
import { conflict, couldNotFind } from './errors.ts';
import { showGroup, showInference } from './resources.ts';
import { authorise, type Context, optionalText, parameter, requiredText } from './routes.ts';
import { type Group, on } from './state.ts';

function groups({ state }: Context): Collection<Group> {
  return {
    singular: 'group',
    items: state.groups,
    show: showGroup,
    filters: { name: (group) => group.name, domain_id: (group) => group.domainId },
    create(body) {
      const name = requiredText(body, 'name');
      const domainId = optionalText(body, 'domain_id') ?? 'default';
      if ([...state.groups.values()].some((group) => group.name === name && group.domainId === domainId))
        throw conflict(
          `Conflict occurred attempting to store group - Duplicate entry found with name ${name} at domain ID ${domainId}.`,
        );
      return state.addGroup(name, { domainId, description: optionalText(body, 'description') ?? '' });
    },
    change(group, body) {
      group.name = optionalText(body, 'name') ?? group.name;
      group.description = optionalText(body, 'description') ?? group.description;
    },
    showChanged: () => ({ extra: {} }),
    remove: ({ id }) => state.removeGroup(id),
  };
}

function addMembers(context: Context): void {
  const { app, state } = context;
  const membership = (request: FastifyRequest) => {
    const [id, userId] = [parameter(request, 'id'), parameter(request, 'user')];
    const group = state.groups.get(id);
    if (!group) throw couldNotFind('group', id);
    if (!state.users.has(userId)) throw couldNotFind('user', userId);
    return { group, userId };
  };
  app.put('/v3/groups/:id/users/:user', (request, reply) => {
    authorise(context, request, 'add_user_to_group');
    const { group, userId } = membership(request);
    group.members.add(userId);
    return reply.code(204).send();
  });
  app.delete('/v3/groups/:id/users/:user', (request, reply) => {
    authorise(context, request, 'remove_user_from_group');
    const { group, userId } = membership(request);
    if (!group.members.delete(userId)) throw couldNotFind('user', userId);
    state.revoke({ userId });
    return reply.code(204).send();
  });
}

function addGroupGrants(context: Context): void {
  const { app, state } = context;
  const path = '/v3/projects/:target/groups/:group/roles/:role';
  const grantOf = (request: FastifyRequest) => {
    const held = {
      groupId: parameter(request, 'group'),
      roleId: parameter(request, 'role'),
      target: { kind: 'project', id: parameter(request, 'target') } as const,
    };
    if (!state.projects.has(held.target.id)) throw couldNotFind('project', held.target.id);
    if (!state.groups.has(held.groupId)) throw couldNotFind('group', held.groupId);
    if (!state.roles.has(held.roleId)) throw couldNotFind('role', held.roleId);
    const same = state.groupAssignments.find(
      (each) => each.groupId === held.groupId && each.roleId === held.roleId && on(each.target, held.target),
    );
    return { held, same };
  };
  app.put(path, (request, reply) => {
    authorise(context, request, 'create_grant');
    const { held, same } = grantOf(request);
    if (!same) state.groupAssignments.push(held);
    return reply.code(204).send();
  });
  app.delete(path, (request, reply) => {
    authorise(context, request, 'revoke_grant');
    const { held, same } = grantOf(request);
    if (!same) throw couldNotFind('role assignment with role', held.roleId);
    state.groupAssignments = state.groupAssignments.filter((each) => each !== same);
    return reply.code(204).send();
  });
}

export function addGroupRoutes(context: Context): void {
  const { app, state, base } = context;
  addCollection(context, groups(context));
  addMembers(context);
  addGroupGrants(context);
  app.get('/v3/role_inferences', (request) => {
    authorise(context, request, 'list_role_inference_rules');
    const found = [...state.roles.values()].filter(({ implies }) => implies.length > 0);
    return {
      role_inferences: found.map((role) =>
        showInference(
          base(),
          role,
          role.implies.flatMap((id) => state.roles.get(id) ?? []),
        ),
      ),
    };
  });
}
