/** The audit of the facade: who asked what about whom. */
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import type { AuditEntry } from '../../model/audit.ts';
import type { ForeignVerdict } from '../../token/foreign.ts';
import { type ForeignSubject, foreignIdentity } from '../../token/mapping/identity.ts';
import type { Facade } from './exchange.ts';

type Valid = Extract<ForeignVerdict, { kind: 'valid' }>;

/** Bodies are read once for as long as the cache holds them. */
const subjects = new WeakMap<Valid['facts'], ForeignSubject>();

/** Who a foreign token is of: enough to run another mapping over it later, and no secret. */
export function subjectOf({ facts, body, partner }: Valid): ForeignSubject {
  const known = subjects.get(facts) ?? foreignIdentity(body, partner.cloudId).subject;
  subjects.set(facts, known);
  return known;
}

/**
 * Resolves once the entry is stored.
 * @throws AllianceError overloaded, whatever the reason: no record, no act
 */
export async function record({ audit, log }: Pick<Facade, 'audit' | 'log'>, entry: AuditEntry): Promise<void> {
  // A token that nobody vouches for can be made up by anybody, without end, and name a partner: of such the audit keeps one now and then.
  const isMadeUp = entry.partner === null || (entry.kind === 'validation' && entry.subject === null);
  const stored = isMadeUp ? audit.note(entry) : audit.append(entry);
  await stored.catch((thrown: unknown) => {
    log.error(
      { err: toAllianceError(thrown), requestId: entry.requestId },
      'No record of a foreign token, so no answer.',
    );
    throw new AllianceError('overloaded', { details: 'The audit cannot be written.', cause: thrown });
  });
}
