/** How records look in the API, one function a kind, members in Keystone's order. `base` is the URL up to `/v3`. */
import {
  type ApplicationCredential,
  type Assignment,
  type Domain,
  type Endpoint,
  formatTime,
  type Group,
  type GroupAssignment,
  type KeystoneState,
  type Project,
  type Region,
  type RevocationEvent,
  type Role,
  type Service,
  type User,
} from './state.ts';

const self = (base: string, path: string) => ({ self: `${base}/${path}` });

export const showDomain = (base: string, { id, name, description, enabled }: Domain) => ({
  id,
  name,
  description,
  enabled,
  tags: [],
  options: {},
  links: self(base, `domains/${id}`),
});

export const showProject = (base: string, project: Project) => ({
  id: project.id,
  name: project.name,
  domain_id: project.domainId,
  description: project.description,
  enabled: project.enabled,
  parent_id: project.domainId,
  is_domain: false,
  tags: project.tags,
  options: {},
  links: self(base, `projects/${project.id}`),
});

export const showUser = (base: string, user: User) => ({
  ...(user.email !== undefined && { email: user.email }),
  ...(user.description !== undefined && { description: user.description }),
  id: user.id,
  name: user.name,
  domain_id: user.domainId,
  enabled: user.enabled,
  ...(user.defaultProjectId !== undefined && { default_project_id: user.defaultProjectId }),
  password_expires_at: null,
  options: {},
  links: self(base, `users/${user.id}`),
});

const roleBody = ({ id, name, description, immutable }: Role) => ({
  id,
  name,
  domain_id: null,
  description,
  options: immutable ? { immutable: true } : {},
});

export const showRole = (base: string, role: Role) => ({ ...roleBody(role), links: self(base, `roles/${role.id}`) });

export const showGroup = (base: string, { id, name, domainId, description }: Group) => ({
  description,
  id,
  name,
  domain_id: domainId,
  links: self(base, `groups/${id}`),
});

/** A role and what it brings with it. */
export const showInference = (base: string, prior: Role, implied: readonly Role[]) => {
  const shown = ({ id, name }: Role) => ({ id, links: self(base, `roles/${id}`), name });
  return { prior_role: shown(prior), implies: implied.map(shown) };
};

/** A role of a group. */
export const showGroupAssignment = (base: string, { groupId, roleId, target }: GroupAssignment) => {
  const place = target.kind === 'system' ? 'system' : `${target.kind}s/${target.id}`;
  return {
    links: { assignment: `${base}/${place}/groups/${groupId}/roles/${roleId}` },
    scope: target.kind === 'system' ? { system: { all: true } } : { [target.kind]: { id: target.id } },
    group: { id: groupId },
    role: { id: roleId },
  };
};

export const showService = (base: string, { id, name, description, type, enabled }: Service) => ({
  name,
  ...(description !== undefined && { description }),
  id,
  type,
  enabled,
  links: self(base, `services/${id}`),
});

export const showEndpoint = (base: string, endpoint: Endpoint) => ({
  id: endpoint.id,
  interface: endpoint.interface,
  region_id: endpoint.regionId,
  service_id: endpoint.serviceId,
  url: endpoint.url,
  enabled: endpoint.enabled,
  region: endpoint.regionId,
  links: self(base, `endpoints/${endpoint.id}`),
});

export const showRegion = (base: string, { id, description, parentId }: Region) => ({
  id,
  description,
  parent_region_id: parentId,
  links: self(base, `regions/${id}`),
});

export const showApplicationCredential = (state: KeystoneState, base: string, credential: ApplicationCredential) => ({
  id: credential.id,
  name: credential.name,
  description: credential.description,
  user_id: credential.userId,
  project_id: credential.projectId,
  system: null,
  expires_at: credential.expiresAt === null ? null : formatTime(credential.expiresAt).replace('Z', ''),
  unrestricted: credential.unrestricted,
  roles: [...state.roles.values()].filter(({ id }) => credential.roleIds.includes(id)).map(roleBody),
  links: self(base, `application_credentials/${credential.id}`),
});

export function showAssignment(state: KeystoneState, base: string, held: Assignment, withNames: boolean) {
  const domain = (id: string) => ({ id, name: state.domains.get(id)?.name });
  const owned = (item: { id: string; name: string; domainId: string } | undefined, id: string) =>
    withNames && item ? { id, name: item.name, domain: domain(item.domainId) } : { id };
  const { target } = held;
  const place = target.kind === 'system' ? 'system' : `${target.kind}s/${target.id}`;
  const scope =
    target.kind === 'system'
      ? { system: { all: true } }
      : target.kind === 'project'
        ? { project: owned(state.projects.get(target.id), target.id) }
        : { domain: withNames ? domain(target.id) : { id: target.id } };
  const role = state.roles.get(held.roleId);
  return {
    links: { assignment: `${base}/${place}/users/${held.userId}/roles/${held.roleId}` },
    scope,
    user: owned(state.users.get(held.userId), held.userId),
    role: { id: held.roleId, ...(withNames && { name: role?.name }) },
  };
}

export const showEvent = (event: RevocationEvent) => ({
  ...(event.auditId !== undefined && { audit_id: event.auditId }),
  ...(event.userId !== undefined && { user_id: event.userId }),
  ...(event.projectId !== undefined && { project_id: event.projectId }),
  issued_before: formatTime(event.issuedBefore),
  revoked_at: formatTime(event.issuedBefore),
});
