/** What a mapping comes to without a Keystone: names only. For trying out mappings, and for comparing two of them. */
import type { MappedDomain, MappingOutcome, Omission } from './outcome.ts';

export interface NamedAccess {
  readonly kind: 'accepted';
  readonly rule: string;
  readonly user: string;
  readonly userType: 'ephemeral' | 'local';
  /** Null where only groups or the local user's own roles lead to one. */
  readonly project: { readonly name: string; readonly domain: MappedDomain | null } | null;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
}

export type NamedOutcome = NamedAccess | ({ readonly kind: 'denied' } & Omission);

/** The first project in which the user has a role, as localise chooses it. */
export function namedOutcome(outcome: MappingOutcome): NamedOutcome {
  if (outcome.kind === 'denied') return { kind: 'denied', reason: outcome.reason, details: outcome.details };
  const { rule, user, projects, omissions } = outcome;
  const everywhere = outcome.roles.map(({ name }) => name);
  const groups = outcome.groups.map(({ id, name }) => name ?? id ?? '');
  const chosen = projects.find(({ roles }) => roles.length + everywhere.length > 0);
  if (!chosen && groups.length === 0 && user.type === 'ephemeral') {
    const [none] = omissions;
    if (none) return { kind: 'denied', ...none };
    return projects.length > 0
      ? { kind: 'denied', reason: 'no_roles', details: 'No role is left in any project.' }
      : { kind: 'denied', reason: 'no_project', details: 'No rule that matches leads to a project.' };
  }
  const roles = [...(chosen?.roles.map(({ name }) => name) ?? []), ...everywhere];
  return {
    kind: 'accepted',
    rule,
    user: user.name ?? user.id ?? '',
    userType: user.type,
    project: chosen ? { name: chosen.name, domain: chosen.domain } : null,
    roles: [...new Set(roles)],
    groups: [...new Set(groups)],
  };
}

export interface Difference {
  readonly change: 'gains' | 'loses' | 'changes';
  readonly gainedRoles: readonly string[];
  readonly lostRoles: readonly string[];
}

/** What a user would gain or lose; null where nothing changes. Which rule it was does not count. */
export function compareOutcomes(before: NamedOutcome, after: NamedOutcome): Difference | null {
  const rolesOf = (outcome: NamedOutcome) => (outcome.kind === 'accepted' ? outcome.roles : []);
  const gainedRoles = rolesOf(after).filter((role) => !rolesOf(before).includes(role));
  const lostRoles = rolesOf(before).filter((role) => !rolesOf(after).includes(role));
  if (before.kind !== after.kind)
    return { change: after.kind === 'accepted' ? 'gains' : 'loses', gainedRoles, lostRoles };
  if (before.kind === 'denied' || after.kind === 'denied') return null;
  const essence = ({ user, userType, project, groups }: NamedAccess) =>
    JSON.stringify([user, userType, project?.name, project?.domain, [...groups].sort()]);
  const same = gainedRoles.length + lostRoles.length === 0 && essence(before) === essence(after);
  return same ? null : { change: 'changes', gainedRoles, lostRoles };
}
