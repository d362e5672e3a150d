/** The audit of the facade: who asked what about whom. */
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import type { AuditEntry } from '../../model/audit.ts';
import type { ForeignVerdict } from '../../token/foreign.ts';
import type { Facade } from './exchange.ts';

type Valid = Extract<ForeignVerdict, { kind: 'valid' }>;

/** Groups of a federated user, by id; only such bodies have any, and only they are parsed. */
function groupsOf(body: string): string[] {
  if (!body.includes('"OS-FEDERATION"')) return [];
  const { token } = JSON.parse(body) as { token?: { user?: { 'OS-FEDERATION'?: { groups?: unknown } } } };
  const groups = token?.user?.['OS-FEDERATION']?.groups;
  return Array.isArray(groups) ? groups.flatMap((group: { id?: unknown }) => (group.id ? [String(group.id)] : [])) : [];
}

/** Who a foreign token is of: enough to run another mapping over it later, and no secret. */
export function identityDetails({ body, facts, source, ageMs }: Valid): Record<string, unknown> {
  const { user, project, roles } = facts;
  return {
    user,
    project,
    roles: roles.map(({ name }) => name),
    groups: groupsOf(body),
    source,
    ageMs: Math.round(ageMs),
  };
}

/**
 * Resolves once the entry is stored.
 * @throws AllianceError overloaded, whatever the reason: no record, no act
 */
export async function record({ audit, log }: Pick<Facade, 'audit' | 'log'>, entry: AuditEntry): Promise<void> {
  await audit.append(entry).catch((thrown: unknown) => {
    log.error(
      { err: toAllianceError(thrown), requestId: entry.requestId },
      'No record of a foreign token, so no answer.',
    );
    throw new AllianceError('overloaded', { details: 'The audit cannot be written.', cause: thrown });
  });
}
