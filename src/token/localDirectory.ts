/** This cloud's domains, projects, users, groups and roles, as its Keystone told them lately. */
import type { Clock } from '../core/clock.ts';
import type {
  Keystone,
  KeystoneAssignment,
  KeystoneDomain,
  KeystoneGroup,
  KeystoneProject,
  KeystoneRole,
  KeystoneUser,
} from '../lproxy/keystone.ts';
import { type MadeFor, type Provisions, requestTagPrefix } from '../model/provision.ts';
import type { MappedDomain } from './mapping/outcome.ts';
import { comparable } from './mapping/privilege.ts';
import { Remembered } from './remembered.ts';

/** Where names are looked for when a mapping names no domain. */
export const defaultDomain: MappedDomain = { name: 'Default' };

/** All roles of the cloud and what each brings with it. */
export class RoleBook {
  readonly #byId: ReadonlyMap<string, KeystoneRole>;
  readonly #byName: ReadonlyMap<string, KeystoneRole>;
  readonly #inferences: ReadonlyMap<string, readonly string[]>;

  constructor(roles: readonly KeystoneRole[], inferences: ReadonlyMap<string, readonly string[]>) {
    this.#byId = new Map(roles.map((role) => [role.id, role]));
    this.#byName = new Map(roles.map((role) => [role.name, role]));
    this.#inferences = inferences;
  }

  byName(name: string): KeystoneRole | undefined {
    return this.#byName.get(name);
  }

  byId(id: string): KeystoneRole | undefined {
    return this.#byId.get(id);
  }

  /** The role, and every role that comes with it. */
  withImplied(role: KeystoneRole): KeystoneRole[] {
    const found = new Set([role.id]);
    for (const id of found) for (const implied of this.#inferences.get(id) ?? []) found.add(implied);
    return [...found].map((id) => this.#byId.get(id)).filter((each) => each !== undefined);
  }

  /** Whether it is one of those names, or brings one with it; `names` in comparable form. */
  isPrivileged(role: KeystoneRole, names: ReadonlySet<string>): boolean {
    return this.withImplied(role).some(({ name }) => names.has(comparable(name)));
  }
}

/** What is asked of provisioning about a project. */
export type MadeProjects = Pick<Provisions, 'madeFor'>;

/** Every method throws what the Keystone throws that cannot be asked. */
export class LocalDirectory {
  readonly #keystone: Keystone;
  readonly #roles: Remembered<RoleBook>;
  readonly #domains: Remembered<KeystoneDomain>;
  readonly #projects: Remembered<KeystoneProject>;
  readonly #users: Remembered<KeystoneUser>;
  readonly #groups: Remembered<KeystoneGroup>;
  readonly #assignments: Remembered<readonly KeystoneAssignment[]>;
  readonly #provisions: MadeProjects;
  readonly #made: Remembered<MadeFor>;

  constructor(keystone: Keystone, provisions: MadeProjects, clock: Clock) {
    this.#keystone = keystone;
    this.#provisions = provisions;
    this.#roles = new Remembered(clock);
    this.#domains = new Remembered(clock);
    this.#projects = new Remembered(clock);
    this.#users = new Remembered(clock);
    this.#groups = new Remembered(clock);
    this.#assignments = new Remembered(clock);
    this.#made = new Remembered(clock);
  }

  async roles(): Promise<RoleBook> {
    const book = await this.#roles.get('', async () => {
      const [roles, inferences] = await Promise.all([this.#keystone.listRoles(), this.#keystone.roleInferences()]);
      return new RoleBook(roles, inferences);
    });
    return book!;
  }

  /** By id where both are given; a name that goes with another id is none. */
  async domain({ id, name }: MappedDomain): Promise<KeystoneDomain | null> {
    if (id === undefined)
      return this.#domains.get(`name ${name}`, async () => {
        const found = await this.#keystone.listDomains({ name: name ?? '' });
        return found.find((each) => each.name === name) ?? null;
      });
    const found = await this.#domains.get(`id ${id}`, () => this.#keystone.findDomain(id));
    return found && (name === undefined || found.name === name) ? found : null;
  }

  project(of: { readonly name: string; readonly domainId: string }): Promise<KeystoneProject | null> {
    return this.#projects.get(`of ${of.domainId} ${of.name}`, async () =>
      exactly(of.name, await this.#keystone.listProjects(of)),
    );
  }

  projectById(id: string): Promise<KeystoneProject | null> {
    return this.#projects.get(`id ${id}`, () => this.#keystone.findProject(id));
  }

  /**
   * Whom provisioning made a project for, in words; null where it made it for nobody. The tag counts, too: the project is there before
   * this is noted, and is still there where a restore has lost the note.
   */
  async madeFor({ id, tags }: KeystoneProject): Promise<string | null> {
    const made = await this.#made.get(id, () => this.#provisions.madeFor(id));
    if (made) return made.userId === null ? `users of ${made.cloudId}` : `user ${made.userId} of ${made.cloudId}`;
    return tags.some((tag) => tag.startsWith(requestTagPrefix)) ? 'a partner, as its tags say' : null;
  }

  user(of: { readonly name: string; readonly domainId: string }): Promise<KeystoneUser | null> {
    return this.#users.get(`of ${of.domainId} ${of.name}`, async () =>
      exactly(of.name, await this.#keystone.listUsers(of)),
    );
  }

  userById(id: string): Promise<KeystoneUser | null> {
    return this.#users.get(`id ${id}`, () => this.#keystone.findUser(id));
  }

  group(of: { readonly name: string; readonly domainId: string }): Promise<KeystoneGroup | null> {
    return this.#groups.get(`of ${of.domainId} ${of.name}`, async () =>
      exactly(of.name, await this.#keystone.listGroups(of)),
    );
  }

  async assignments(actor: Parameters<Keystone['listAssignments']>[0]): Promise<readonly KeystoneAssignment[]> {
    const found = await this.#assignments.get(JSON.stringify(actor), () => this.#keystone.listAssignments(actor));
    return found ?? [];
  }
}

/** Databases that compare without regard to case answer with more than was asked for. */
const exactly = <T extends { readonly name: string }>(name: string, found: readonly T[]): T | null =>
  found.find((each) => each.name === name) ?? null;
