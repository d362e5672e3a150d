/** Which roles are privileged, and which projects no foreign user is ever mapped into. */

/** Policies compare roles without regard to case, and look-alikes of Unicode become the same: so names are compared in this form. */
export const comparable = (name: string): string => name.normalize('NFKC').toLowerCase().normalize('NFKC');

const always = ['admin', 'manager', 'service'];

/** Comparable names of the roles that only a rule with `allow_privileged` gives. */
export function privilegedNames(configured: {
  readonly privilegedRoles: readonly string[];
  readonly serviceTokenRoles: readonly string[];
}): ReadonlySet<string> {
  return new Set([...always, ...configured.privilegedRoles, ...configured.serviceTokenRoles].map(comparable));
}

/** The project that services share: whoever is in it passes for one of them. */
export const isServiceProject = (name: string): boolean => comparable(name) === 'service';
