/** What the embedded Keystone knows: plain records in maps by id, in the order they were made. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';

export interface Domain {
  readonly id: string;
  name: string;
  description: string;
  enabled: boolean;
}

export interface Project {
  readonly id: string;
  name: string;
  readonly domainId: string;
  description: string;
  enabled: boolean;
  readonly tags: readonly string[];
}

export interface User {
  readonly id: string;
  name: string;
  readonly domainId: string;
  enabled: boolean;
  password: string | null;
  email?: string;
  description?: string;
  defaultProjectId?: string;
}

export interface Role {
  readonly id: string;
  name: string;
  description: string | null;
  /** Ids of roles that come with this one. */
  readonly implies: readonly string[];
  readonly immutable: boolean;
}

/** A role of a user on one target: a project, a domain, or the whole system. */
export interface Assignment {
  readonly userId: string;
  readonly roleId: string;
  readonly target: { readonly kind: 'project' | 'domain'; readonly id: string } | { readonly kind: 'system' };
}

export interface Group {
  readonly id: string;
  name: string;
  readonly domainId: string;
  description: string;
  /** Ids of users. */
  readonly members: Set<string>;
}

/** A role of everyone in a group. */
export interface GroupAssignment extends Omit<Assignment, 'userId'> {
  readonly groupId: string;
}

export interface Service {
  readonly id: string;
  type: string;
  name: string;
  description?: string;
  enabled: boolean;
}

export interface Endpoint {
  readonly id: string;
  serviceId: string;
  interface: string;
  regionId: string | null;
  /** May hold `$(project_id)s` or `$(tenant_id)s`. */
  url: string;
  enabled: boolean;
}

export interface Region {
  readonly id: string;
  description: string;
  parentId: string | null;
}

export interface ApplicationCredential {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly userId: string;
  readonly projectId: string;
  readonly secret: string;
  readonly roleIds: readonly string[];
  /** UTC epoch milliseconds. */
  readonly expiresAt: number | null;
  readonly unrestricted: boolean | null;
}

export type TokenScope = Assignment['target'] | null;

export interface TokenRecord {
  readonly token: string;
  readonly userId: string;
  readonly scope: TokenScope;
  readonly methods: readonly string[];
  readonly auditIds: readonly string[];
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly applicationCredentialId: string | null;
}

/** One line of OS-REVOKE: tokens that match what is set and were issued at or before `issuedBefore` are revoked. */
export interface RevocationEvent {
  readonly auditId?: string;
  readonly userId?: string;
  readonly projectId?: string;
  readonly issuedBefore: number;
}

export const newId = (): string => randomBytes(16).toString('hex');

/** Keystone writes and compares times in whole seconds. */
export const wholeSecond = (ms: number): number => Math.floor(ms / 1000) * 1000;
export const formatTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, '.000000Z');

export class KeystoneState {
  readonly clock: Clock;
  readonly domains = new Map<string, Domain>();
  readonly projects = new Map<string, Project>();
  readonly users = new Map<string, User>();
  readonly roles = new Map<string, Role>();
  readonly services = new Map<string, Service>();
  readonly endpoints = new Map<string, Endpoint>();
  readonly regions = new Map<string, Region>();
  readonly applicationCredentials = new Map<string, ApplicationCredential>();
  readonly tokens = new Map<string, TokenRecord>();
  readonly events: RevocationEvent[] = [];
  readonly groups = new Map<string, Group>();
  assignments: Assignment[] = [];
  groupAssignments: GroupAssignment[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  addProject(name: string, values: Partial<Project> = {}): Project {
    const fresh = { id: newId(), domainId: 'default', description: '', enabled: true, tags: [] };
    return put(this.projects, { ...fresh, ...values, name });
  }

  addUser(name: string, password: string | null, values: Partial<User> = {}): User {
    return put(this.users, { id: newId(), domainId: 'default', enabled: true, ...values, name, password });
  }

  addRole(name: string, values: Partial<Role> = {}): Role {
    return put(this.roles, { id: newId(), description: null, implies: [], immutable: false, ...values, name });
  }

  addService(type: string, name: string, values: Partial<Service> = {}): Service {
    return put(this.services, { id: newId(), enabled: true, ...values, type, name });
  }

  /** Registers its region where that is new, as Keystone does. */
  addEndpoint(values: Omit<Endpoint, 'id' | 'enabled'> & { readonly enabled?: boolean }): Endpoint {
    if (values.regionId !== null) this.addRegion(values.regionId);
    return put(this.endpoints, { id: newId(), enabled: true, ...values });
  }

  addRegion(id: string, description = '', parentId: string | null = null): Region {
    return this.regions.get(id) ?? put(this.regions, { id, description, parentId });
  }

  grant(userId: string, roleId: string, target: Assignment['target']): void {
    if (!this.assignments.some((held) => held.userId === userId && held.roleId === roleId && on(held.target, target)))
      this.assignments.push({ userId, roleId, target });
  }

  /** True when there was such a role; application credentials that build on it go too. */
  withdraw(userId: string, roleId: string, target: Assignment['target']): boolean {
    const kept = this.assignments.filter(
      (held) => held.userId !== userId || held.roleId !== roleId || !on(held.target, target),
    );
    const changed = kept.length < this.assignments.length;
    this.assignments = kept;
    if (changed && target.kind === 'project')
      this.dropApplicationCredentials((held) => held.userId === userId && held.projectId === target.id);
    return changed;
  }

  /** Roles of a user on a target, implied ones included. */
  rolesOf(userId: string, target: Assignment['target']): Role[] {
    const held = [
      ...this.assignments.filter((each) => each.userId === userId),
      ...this.groupAssignments.filter((each) => this.groups.get(each.groupId)?.members.has(userId)),
    ];
    return this.withImplied(held.filter((each) => on(each.target, target)).map((each) => each.roleId));
  }

  withImplied(roleIds: readonly string[]): Role[] {
    const found = new Set<Role>();
    const pending = [...roleIds];
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      const role = this.roles.get(id);
      if (!role || found.has(role)) continue;
      found.add(role);
      pending.push(...role.implies);
    }
    return [...this.roles.values()].filter((role) => found.has(role));
  }

  addGroup(name: string, values: Partial<Group> = {}): Group {
    return put(this.groups, { id: newId(), domainId: 'default', description: '', members: new Set(), ...values, name });
  }

  removeGroup(id: string): void {
    for (const userId of this.groups.get(id)?.members ?? []) this.revoke({ userId });
    this.groups.delete(id);
    this.groupAssignments = this.groupAssignments.filter((held) => held.groupId !== id);
  }

  revoke(what: Omit<RevocationEvent, 'issuedBefore'>): void {
    this.events.push({ ...what, issuedBefore: wholeSecond(this.clock.now()) });
  }

  setUserEnabled(user: User, enabled: boolean): void {
    if (user.enabled && !enabled) this.revoke({ userId: user.id });
    user.enabled = enabled;
  }

  setPassword(user: User, password: string | null): void {
    user.password = password;
    this.revoke({ userId: user.id });
  }

  removeUser(id: string): void {
    this.users.delete(id);
    this.assignments = this.assignments.filter((held) => held.userId !== id);
    for (const { members } of this.groups.values()) members.delete(id);
    this.dropApplicationCredentials((held) => held.userId === id);
    this.revoke({ userId: id });
  }

  removeProject(id: string): void {
    this.projects.delete(id);
    this.assignments = this.assignments.filter((held) => !on(held.target, { kind: 'project', id }));
    this.groupAssignments = this.groupAssignments.filter((held) => !on(held.target, { kind: 'project', id }));
    this.dropApplicationCredentials((held) => held.projectId === id);
    this.revoke({ projectId: id });
  }

  removeService(id: string): void {
    this.services.delete(id);
    for (const endpoint of this.endpoints.values()) if (endpoint.serviceId === id) this.endpoints.delete(endpoint.id);
  }

  private dropApplicationCredentials(match: (held: ApplicationCredential) => boolean): void {
    for (const held of this.applicationCredentials.values())
      if (match(held)) this.applicationCredentials.delete(held.id);
  }
}

export function on(a: Assignment['target'], b: Assignment['target']): boolean {
  if (a.kind === 'system' || b.kind === 'system') return a.kind === b.kind;
  return a.kind === b.kind && a.id === b.id;
}

function put<T extends { readonly id: string }>(map: Map<string, T>, value: T): T {
  map.set(value.id, value);
  return value;
}
