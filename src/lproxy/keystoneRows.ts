/** Rows of Keystone's lists about people: projects, domains, users, groups, roles and who has them. */
import { z } from 'zod';

export interface KeystoneDomain {
  readonly id: string;
  readonly name: string;
}

export interface KeystoneGroup {
  readonly id: string;
  readonly name: string;
  readonly domainId: string;
}

export interface KeystoneUser extends KeystoneGroup {
  readonly defaultProjectId: string | null;
}

export interface KeystoneProject extends KeystoneGroup {
  readonly tags: readonly string[];
}

export interface KeystoneRole {
  readonly id: string;
  readonly name: string;
}

export interface KeystoneAssignment {
  readonly roleId: string;
  readonly projectId: string;
}

const enabled = z.boolean().nullish();
const owned = { id: z.string(), name: z.string(), domain_id: z.string(), enabled };

export const domainRow = z
  .object({ id: z.string(), name: z.string(), enabled })
  .transform(({ id, name, enabled: on }) => ({ enabled: on !== false, item: { id, name } }));

export const projectRow = z
  .object({
    ...owned,
    domain_id: z.string().nullish(),
    is_domain: z.boolean().nullish(),
    tags: z.array(z.string()).nullish(),
  })
  .transform((row) => ({
    enabled: row.enabled !== false && row.is_domain !== true && typeof row.domain_id === 'string',
    item: { id: row.id, name: row.name, domainId: row.domain_id ?? '', tags: row.tags ?? [] },
  }));

export const userRow = z.object({ ...owned, default_project_id: z.string().nullish() }).transform((row) => ({
  enabled: row.enabled !== false,
  item: { id: row.id, name: row.name, domainId: row.domain_id, defaultProjectId: row.default_project_id ?? null },
}));

export const groupRow = z.object(owned).transform((row) => ({
  enabled: true,
  item: { id: row.id, name: row.name, domainId: row.domain_id },
}));

export const roleRow = z
  .object({ id: z.string(), name: z.string(), domain_id: z.string().nullish() })
  .transform(({ id, name, domain_id: domainId }) => ({ enabled: !domainId, item: { id, name } }));

export const inferenceRow = z
  .object({ prior_role: z.object({ id: z.string() }), implies: z.array(z.object({ id: z.string() })) })
  .transform((row) => ({
    enabled: true,
    item: [row.prior_role.id, row.implies.map(({ id }) => id)] as const,
  }));

/** Assignments to be inherited by projects below count only there, and are answered with those when all that counts is asked for. */
export const assignmentRow = z
  .object({
    role: z.object({ id: z.string() }),
    scope: z.object({
      project: z.object({ id: z.string() }).nullish(),
      'OS-INHERIT:inherited_to': z.unknown().optional(),
    }),
  })
  .transform(({ role, scope }) => ({
    enabled: scope.project != null,
    item: { roleId: role.id, projectId: scope.project?.id ?? '', inherited: 'OS-INHERIT:inherited_to' in scope },
  }));
