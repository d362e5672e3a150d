/** The local half: what a mapping yields by name, looked up in this cloud. The first project counts in which the user has a role. */
import { localiseLimits } from '../core/limits.ts';
import type { KeystoneAssignment, KeystoneProject, KeystoneRole } from '../lproxy/keystone.ts';
import { defaultDomain, type LocalDirectory, type RoleBook } from './localDirectory.ts';
import type {
  MappedDomain,
  MappedGroup,
  MappedRole,
  MappedUser,
  MappingAcceptance,
  Omission,
} from './mapping/outcome.ts';
import { isServiceProject } from './mapping/privilege.ts';

interface Named {
  readonly id: string;
  readonly name: string;
}

export interface LocalProject extends Named {
  readonly domain: Named;
}

/** A role that the user may have, before the look at privilege. */
interface Grant {
  readonly role: KeystoneRole;
  readonly allowPrivileged: boolean;
  /** For explanations: `rule 2`, `group ops`. */
  readonly from: string;
}

interface Place {
  readonly project: LocalProject;
  readonly grants: Grant[];
}

export interface LocalUser extends Named {
  readonly domain: Named;
  readonly defaultProjectId: string | null;
}

/** Projects that are the user's, and perhaps nobody else's, by other means than the mapping. */
export interface ExtraProject {
  readonly projectId: string;
  /** Names of roles; privileged ones are left out. */
  readonly roles: readonly string[];
}

export interface ResolveOptions {
  readonly directory: LocalDirectory;
  /** Privileged roles in comparable form. */
  readonly privileged: ReadonlySet<string>;
  /** Aborted when nobody waits for the outcome any more. */
  readonly signal: AbortSignal;
}

/** Whether a mapping leads to more than is looked up for one token: the values are the partner's, and so would be the effort. */
export function hasTooManyPlaces({ projects, groups }: MappingAcceptance): boolean {
  if (projects.length + groups.length <= localiseLimits.places) return false;
  const distinct = new Set([
    ...projects.map(({ name, domain }) => JSON.stringify(['project', name, domain])),
    ...groups.map(({ id, name, domain }) => JSON.stringify(['group', id, name, domain])),
  ]);
  return distinct.size > localiseLimits.places;
}

/** One user's look-ups, with what was left out on the way. */
export class Resolution {
  readonly omissions: Omission[] = [];
  readonly #directory: LocalDirectory;
  readonly #privileged: ReadonlySet<string>;
  readonly #signal: AbortSignal;
  readonly #places = new Map<string, Place>();
  /** Projects that were looked up by their ids. */
  readonly #looked = new Set<string>();
  /** Projects that were made for the user. */
  readonly #own = new Set<string>();

  constructor({ directory, privileged, signal }: ResolveOptions) {
    this.#directory = directory;
    this.#signal = signal;
    this.#privileged = privileged;
  }

  /** The user of this cloud that a rule of `type: local` names. */
  async localUser(user: MappedUser): Promise<LocalUser | null> {
    const domain = await this.#directory.domain(user.domain ?? defaultDomain);
    const found =
      user.id !== null
        ? await this.#directory.userById(user.id)
        : domain && (await this.#directory.user({ name: user.name ?? '', domainId: domain.id }));
    const home = found && (await this.#directory.domain({ id: found.domainId }));
    // Who is named by id and name, or by id and domain, must be that user in all of it.
    const fits = found && (user.name === null || user.name === found.name) && (!user.domain || domain?.id === home?.id);
    if (found && home && fits) return { ...found, domain: home };
    this.#omit('user_missing', `There is no user ${user.name ?? user.id} of that domain, or it is switched off.`);
    return null;
  }

  /** In order of precedence: the mapping's projects, the groups', the local user's own, the extra ones. */
  async collect(
    outcome: MappingAcceptance,
    localUser: LocalUser | null,
    extra: readonly ExtraProject[],
  ): Promise<{ readonly project: LocalProject; readonly roles: readonly KeystoneRole[] } | null> {
    for (const { projectId } of extra) this.#own.add(projectId);
    const book = await this.#directory.roles();
    const assignments = await Promise.all(outcome.groups.map((group) => this.#assignmentsOf(group)));
    for (const { name, domain, roles } of outcome.projects) {
      const project = await this.#projectNamed(name, domain);
      if (project) this.#add(project, this.#named(book, roles));
    }
    for (const [at, group] of outcome.groups.entries()) await this.#addGroup(book, group, assignments[at]!);
    if (localUser) await this.#addOwn(book, localUser, outcome.user.allowPrivileged);
    for (const { projectId, roles } of extra) {
      const origin = { rule: 0, allowPrivileged: false };
      await this.#addById(
        projectId,
        this.#named(
          book,
          roles.map((name) => ({ ...origin, name })),
        ),
      );
    }
    return this.#choose(book, this.#named(book, outcome.roles));
  }

  #choose(book: RoleBook, everywhere: readonly Grant[]) {
    for (const { project, grants } of this.#places.values()) {
      const permitted = [...grants, ...everywhere].filter((grant) => this.#permitted(book, grant));
      const roles = new Map(permitted.flatMap(({ role }) => book.withImplied(role)).map((role) => [role.id, role]));
      if (roles.size > 0) return { project, roles: [...roles.values()] };
    }
    if (this.#places.size > 0) this.#omit('no_roles', 'No role is left in any project.');
    else this.#omit('no_project', 'No rule that matches leads to a project.');
    return null;
  }

  #permitted(book: RoleBook, { role, allowPrivileged, from }: Grant): boolean {
    const refused = !allowPrivileged && book.isPrivileged(role, this.#privileged);
    if (refused)
      this.#omit(
        'role_refused',
        `Role ${role.name} is, or brings with it, a privileged one, and ${from} does not say allow_privileged.`,
      );
    return !refused;
  }

  #named(book: RoleBook, roles: readonly MappedRole[]): Grant[] {
    return roles.flatMap(({ name, rule, allowPrivileged }) => {
      const role = book.byName(name);
      if (!role) this.#omit('role_missing', `There is no role ${name}.`);
      return role ? [{ role, allowPrivileged, from: `rule ${rule}` }] : [];
    });
  }

  async #assignmentsOf(group: MappedGroup): Promise<readonly KeystoneAssignment[]> {
    const { directory, id } = { directory: this.#directory, id: group.id };
    const domain = id === null ? await directory.domain(group.domain ?? defaultDomain) : null;
    const groupId = id ?? (domain && (await directory.group({ name: group.name ?? '', domainId: domain.id })))?.id;
    if (groupId !== undefined) return directory.assignments({ groupId });
    this.#omit('group_missing', `There is no group ${group.name ?? id} of that domain.`);
    return [];
  }

  async #addGroup(book: RoleBook, group: MappedGroup, assignments: readonly KeystoneAssignment[]): Promise<void> {
    const from = `rule ${group.rule} for group ${group.name ?? group.id}`;
    for (const { projectId, roleId } of assignments) {
      const role = book.byId(roleId);
      if (role) await this.#addById(projectId, [{ role, allowPrivileged: group.allowPrivileged, from }]);
    }
  }

  /** Its default project first, where it has a role. */
  async #addOwn(book: RoleBook, user: LocalUser, allowPrivileged: boolean): Promise<void> {
    const held = await this.#directory.assignments({ userId: user.id });
    const first = held.filter(({ projectId }) => projectId === user.defaultProjectId);
    for (const { projectId, roleId } of [...first, ...held.filter((each) => !first.includes(each))]) {
      const role = book.byId(roleId);
      const from = `the rule for user ${user.name}`;
      if (role) await this.#addById(projectId, [{ role, allowPrivileged, from }]);
    }
  }

  async #projectNamed(name: string, of: MappedDomain | null): Promise<LocalProject | null> {
    this.#signal.throwIfAborted();
    const domain = await this.#directory.domain(of ?? defaultDomain);
    const found = domain && (await this.#directory.project({ name, domainId: domain.id }));
    if (found && (await this.#isOthers(found))) return null;
    if (found && domain) return { id: found.id, name: found.name, domain };
    const where = (of ?? defaultDomain).name ?? of?.id;
    this.#omit('project_missing', `There is no project ${name} in domain ${where}, or it is switched off.`);
    return null;
  }

  async #addById(id: string, grants: readonly Grant[]): Promise<void> {
    const known = this.#places.get(id);
    if (known) {
      this.#add(known.project, grants);
      return;
    }
    this.#signal.throwIfAborted();
    this.#looked.add(id);
    if (this.#looked.size > localiseLimits.places) {
      this.#omit('too_many_places', 'Groups or the local user lead to more projects than are looked up.');
      return;
    }
    const found = await this.#directory.projectById(id);
    if (found && (await this.#isOthers(found))) return;
    const domain = found && (await this.#directory.domain({ id: found.domainId }));
    if (found && domain) this.#add({ id: found.id, name: found.name, domain }, grants);
    else this.#omit('project_missing', `There is no project ${id}, or it is switched off.`);
  }

  /** One that was made for somebody is nobody else's, whatever names, groups or roles lead to it. */
  async #isOthers(project: KeystoneProject): Promise<boolean> {
    if (this.#own.has(project.id)) return false;
    const madeFor = await this.#directory.madeFor(project);
    if (madeFor !== null) this.#omit('project_taken', `Project ${project.name} was made for ${madeFor}.`);
    return madeFor !== null;
  }

  #add(project: LocalProject, grants: readonly Grant[]): void {
    // The name that was found counts, not only the one that was looked for.
    if (isServiceProject(project.name)) {
      this.#omit('project_refused', `Project ${project.name} is never given to foreign users.`);
      return;
    }
    const place = this.#places.get(project.id) ?? { project, grants: [] };
    place.grants.push(...grants);
    this.#places.set(project.id, place);
  }

  #omit(reason: Omission['reason'], details: string): void {
    if (!this.omissions.some((known) => known.details === details)) this.omissions.push({ reason, details });
  }
}
