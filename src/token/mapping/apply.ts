/**
 * A mapping applied to a foreign user, as Keystone's engine does it: every rule that matches adds to the result, the first user
 * counts, and the last list of projects. Before that, any `deny` that matches ends it; after it, privileged roles are left out
 * unless their rule says `allow_privileged`.
 */
import type { ForeignIdentity } from './identity.ts';
import { isPlainValue } from './identity.ts';
import type { DomainTemplate, LocalItem, Mapping, Rule } from './mapping.ts';
import type {
  DenialReason,
  MappedDomain,
  MappedGroup,
  MappedProject,
  MappedRole,
  MappedUser,
  MappingAcceptance,
  MappingOutcome,
  Omission,
} from './outcome.ts';
import { comparable, isServiceProject } from './privilege.ts';
import { fire } from './remote.ts';
import { type Captures, expandMany, expandOne, type Template } from './template.ts';

export interface MappingOptions {
  /** In comparable form, see privilege.ts. */
  readonly privileged: ReadonlySet<string>;
  readonly allowLocalUsers: boolean;
}

class Denied extends Error {
  readonly reason: DenialReason;
  constructor(reason: DenialReason, details: string) {
    super(details);
    this.reason = reason;
  }
}

type Result = Omit<MappingAcceptance, 'kind' | 'rule' | 'trace'>;

export function applyMapping(mapping: Mapping, identity: ForeignIdentity, options: MappingOptions): MappingOutcome {
  const firings = mapping.rules.map((rule) => ({ rule, ...fire(rule, identity.attributes) }));
  const trace = firings.map((firing) => firing.trace);
  try {
    if (identity.refused !== null)
      throw new Denied('value_refused', `${identity.refused} holds what no name may hold.`);
    const fired = firings.filter(({ captures }) => captures !== null);
    const denial = fired.find(({ rule }) => rule.deny);
    if (denial) throw new Denied('deny_rule', `Rule ${denial.rule.number} denies.`);
    if (fired.length === 0) throw new Denied('no_rule', 'No rule matches.');
    const yields = fired.flatMap(({ rule, captures }) => rule.local.map((item) => new Yields(rule, captures!, item)));
    return {
      kind: 'accepted',
      rule: fired.map(({ rule }) => rule.number).join(', '),
      ...collect(yields, options),
      trace,
    };
  } catch (thrown) {
    if (!(thrown instanceof Denied)) throw thrown;
    return { kind: 'denied', reason: thrown.reason, details: thrown.message, trace };
  }
}

function collect(yields: readonly Yields[], { privileged, allowLocalUsers }: MappingOptions): Result {
  const omissions: Omission[] = [];
  const permitted = (role: MappedRole): boolean => {
    const refused = !role.allowPrivileged && privileged.has(comparable(role.name));
    if (refused)
      omissions.push({
        reason: 'role_refused',
        details: `Role ${role.name} is privileged, and rule ${role.rule} does not say allow_privileged.`,
      });
    return !refused;
  };
  const groups = yields.flatMap((item) => item.groups());
  // As in Keystone, where the last list of projects replaces those before it.
  const projects = (yields.findLast((item) => item.namesProjects)?.projects() ?? [])
    .filter(({ name, rule }) => {
      if (!isServiceProject(name)) return true;
      omissions.push({
        reason: 'project_refused',
        details: `Project ${name} of rule ${rule} is never given to foreign users.`,
      });
      return false;
    })
    .map((project) => ({ ...project, roles: project.roles.filter(permitted) }));
  const roles = yields.flatMap((item) => item.roles()).filter(permitted);
  const user = yields.find((item) => item.namesUser)?.user();
  if (!user) throw new Denied('no_user', 'No rule that matches names a user.');
  if (user.type === 'local' && !allowLocalUsers)
    throw new Denied(
      'local_users_not_allowed',
      `Rule ${user.rule} names a local user, and tokens.allow_local_users is off.`,
    );
  return { user, groups, projects, roles, omissions };
}

/** What one local item of a rule that fired yields. */
class Yields {
  readonly #rule: Rule;
  readonly #captures: Captures;
  readonly #item: LocalItem;

  constructor(rule: Rule, captures: Captures, item: LocalItem) {
    this.#rule = rule;
    this.#captures = captures;
    this.#item = item;
  }

  get namesUser(): boolean {
    return this.#item.user !== undefined;
  }

  get namesProjects(): boolean {
    return this.#item.projects !== undefined;
  }

  user(): MappedUser {
    const user = this.#item.user!;
    const [id, name] = [this.#optional(user.id), this.#optional(user.name)];
    const identified = id !== null || name !== null;
    if (!identified) throw new Denied('no_user', `Rule ${this.#rule.number} names a user without id and name.`);
    const domain = user.domain ? this.#domain(user.domain) : null;
    return { ...this.#origin, type: user.type, id, name, email: this.#optional(user.email), domain };
  }

  groups(): MappedGroup[] {
    const { group, groups, groupIds, domain } = this.#item;
    const named = (name: string, of: DomainTemplate | undefined): MappedGroup => ({
      ...this.#origin,
      id: null,
      name,
      domain: of ? this.#domain(of) : null,
    });
    const byId = (id: string): MappedGroup => ({ ...this.#origin, id, name: null, domain: null });
    return [
      ...(group ? ['id' in group ? byId(this.#one(group.id)) : named(this.#one(group.name), group.domain)] : []),
      ...(groups ?? []).flatMap((each) => this.#many(each)).map((name) => named(name, domain)),
      ...(groupIds ?? []).flatMap((each) => this.#many(each)).map(byId),
    ];
  }

  projects(): MappedProject[] {
    const { projects, domain } = this.#item;
    return projects!.map((project) => {
      const of = project.domain ?? domain;
      const name = this.#one(project.name);
      return { ...this.#origin, name, domain: of ? this.#domain(of) : null, roles: this.#roles(project.roles) };
    });
  }

  roles(): MappedRole[] {
    return this.#roles(this.#item.roles ?? []);
  }

  get #origin() {
    return { rule: this.#rule.number, allowPrivileged: this.#rule.allowPrivileged };
  }

  #roles(templates: readonly Template[]): MappedRole[] {
    return templates.flatMap((each) => this.#many(each)).map((name) => ({ ...this.#origin, name }));
  }

  #domain({ id, name }: DomainTemplate): MappedDomain {
    return { ...(id && { id: this.#one(id) }), ...(name && { name: this.#one(name) }) };
  }

  #optional(template: Template | undefined): string | null {
    return template ? this.#one(template) : null;
  }

  #one(template: Template): string {
    return this.#checked([expandOne(template, this.#captures)])[0]!;
  }

  #many(template: Template): readonly string[] {
    return this.#checked(expandMany(template, this.#captures) ?? [null]);
  }

  #checked(values: readonly (string | null)[]): string[] {
    return values.map((value) => {
      if (value === null)
        throw new Denied(
          'not_one_value',
          `Rule ${this.#rule.number} puts a list of several values, or of none, where one name stands.`,
        );
      if (!isPlainValue(value)) throw new Denied('value_refused', `Rule ${this.#rule.number} yields no proper name.`);
      return value;
    });
  }
}
