/** The audit of the facade: who asked what about whom. */
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { auditLimits } from '../../core/limits.ts';
import { sha256 } from '../../crypto/bytes.ts';
import type { AuditEntry } from '../../model/audit.ts';
import type { ForeignVerdict } from '../../token/foreign.ts';
import { readBody } from '../../token/foreignBody.ts';
import type { ForeignSubject } from '../../token/mapping/identity.ts';
import type { Facade } from './exchange.ts';
import { ShareUsedUp } from './validations.ts';

type Valid = Extract<ForeignVerdict, { kind: 'valid' }>;

/** What the audit keeps of whom a token is of. */
export interface RecordedSubject extends ForeignSubject {
  /** Where the lists are not whole: how long they were, and their hash. */
  readonly cut?: { readonly roles: number; readonly groups: number; readonly sha256: string };
}

interface Known {
  readonly subject: RecordedSubject;
  /** The same for equal subjects. */
  readonly hash: string;
}

/** Read once for as long as the cache holds the token. */
const subjects = new WeakMap<Valid['facts'], Known>();

/** As many as there is room for, as JSON. */
function fitting(names: readonly string[], bytes: number): readonly string[] {
  let left = bytes;
  const end = names.findIndex((name) => {
    left -= Buffer.byteLength(JSON.stringify(name)) + 1;
    return left < 0;
  });
  return end < 0 ? names : names.slice(0, end);
}

/** Without what would make its record large: an issuer lists as much as it likes. */
export function trimmed(subject: ForeignSubject): RecordedSubject {
  const room = auditLimits.subjectListBytes;
  const [roles, groups] = [fitting(subject.roles, room), fitting(subject.groups, room)];
  const isWhole = roles.length === subject.roles.length && groups.length === subject.groups.length;
  if (isWhole) return subject;
  const lists = JSON.stringify([subject.roles, subject.groups]);
  const cut = { roles: subject.roles.length, groups: subject.groups.length, sha256: sha256(lists).toString('hex') };
  return { ...subject, roles, groups, cut };
}

/** Who a foreign token is of: enough to run another mapping over it later, and no secret. */
export function subjectOf({ facts, body, partner }: Valid): Known {
  const known = subjects.get(facts);
  if (known) return known;
  const { subject } = readBody(body, facts, partner.cloudId).identity;
  const made = { subject: trimmed(subject), hash: sha256(JSON.stringify(subject)).toString('base64url') };
  subjects.set(facts, made);
  return made;
}

/**
 * Resolves once the entry is stored. Of a validation, `kind` says what is equal to it: of such as have a record they may be counted.
 * @throws AllianceError overloaded, whatever the reason: no record, no act
 */
export async function record(
  { audit, validations, log }: Pick<Facade, 'audit' | 'validations' | 'log'>,
  entry: AuditEntry,
  kind?: string,
): Promise<void> {
  const { partner, requestId } = entry;
  // A token that nobody vouches for can be made up by anybody, without end, and name a partner: of such the audit keeps one now and then.
  const isMadeUp = partner === null || (entry.kind === 'validation' && entry.subject === null);
  const stored = isMadeUp
    ? audit.note(entry)
    : kind === undefined
      ? audit.append(entry)
      : validations.record({ ...entry, partner }, kind);
  await stored.catch((thrown: unknown) => {
    if (thrown instanceof ShareUsedUp) throw thrown;
    log.error({ err: toAllianceError(thrown), requestId }, 'No record of a foreign token, so no answer.');
    throw new AllianceError('overloaded', { details: 'The audit cannot be written.', cause: thrown });
  });
}
