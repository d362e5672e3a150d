/** The limits that this side sets to projects for partners. */
import { dayMs } from '../../core/clock.ts';
import type { Config, PartnerConfig } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import { wholeMatcher } from '../../core/pattern.ts';
import type { Keystone } from '../../lproxy/keystone.ts';
import type { ProvisionContent } from '../../model/provision.ts';
import { RoleBook } from '../../token/localDirectory.ts';
import { comparable, privilegedNames } from '../../token/mapping/privilege.ts';

/** What is granted, still by names. */
export interface Grant {
  readonly roles: readonly string[];
  readonly expiresAt: number | null;
}

const refuse = (field: string, details: string): never => {
  throw new AllianceError('provision_refused', { field, details });
};

/** @throws AllianceError provision_refused, bad_request */
export function grantFor(
  { projects: _, ...limits }: PartnerConfig['provision'],
  tokens: Config['tokens'],
  content: ProvisionContent,
  now: number,
): Grant {
  const privileged = privilegedNames(tokens);
  checkName(content.name, limits.namePattern, privileged);
  return { roles: grantRoles(content.roles, limits.roles, privileged), expiresAt: grantLife(content, limits, now) };
}

function checkName(name: string, pattern: string, privileged: ReadonlySet<string>): void {
  if (name.trim() !== name || privileged.has(comparable(name).trim())) refuse('name', 'This name is kept.');
  if (!wholeMatcher(pattern)?.(name)) refuse('name', `The name must match ${pattern} as a whole.`);
}

/** Privileged roles are never given, not even where configuration lists them. */
function grantRoles(
  asked: readonly string[] | null,
  allowed: readonly string[],
  privileged: ReadonlySet<string>,
): readonly string[] {
  const possible = allowed.filter((role) => !privileged.has(comparable(role)));
  const roles = asked ?? possible;
  const foreign = roles.find((role) => !possible.includes(role));
  if (foreign !== undefined) refuse('roles', `Role ${foreign} is not given.`);
  if (roles.length === 0) refuse('roles', 'There is no role to give.');
  return roles;
}

/** A longer life than allowed is cut; the answer tells. */
function grantLife(
  { expiresAt }: ProvisionContent,
  { lifeDays }: Pick<PartnerConfig['provision'], 'lifeDays'>,
  now: number,
): number | null {
  if (expiresAt !== null && expiresAt <= now)
    throw new AllianceError('bad_request', { field: 'expires_at', details: 'expires_at lies in the past.' });
  if (lifeDays === undefined) return expiresAt;
  return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, now + lifeDays * dayMs);
}

/**
 * A role that does not exist cannot be given, and one that brings a privileged one with it is privileged. `asked`: every one of them was
 * asked for by name; else those that cannot be given are left out.
 */
export async function givenRoles(
  keystone: Keystone,
  tokens: Config['tokens'],
  names: readonly string[],
  asked: boolean,
): Promise<readonly string[]> {
  const [roles, inferences] = await Promise.all([keystone.listRoles(), keystone.roleInferences()]);
  const book = new RoleBook(roles, inferences);
  const privileged = privilegedNames(tokens);
  const given = names.filter((name) => {
    const role = book.byName(name);
    return role !== undefined && !book.isPrivileged(role, privileged);
  });
  const missing = names.find((name) => !given.includes(name));
  if (missing !== undefined && (asked || given.length === 0)) refuse('roles', `Role ${missing} is not given.`);
  return given;
}

/** Id of the domain that projects of the partner are made in; undefined where there is none of that name, or it is switched off. */
export async function domainIdOf(keystone: Keystone, name: string): Promise<string | undefined> {
  return (await keystone.listDomains({ name })).find((domain) => domain.name === name)?.id;
}
