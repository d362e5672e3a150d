/** `DELETE` of a foreign token: carried home, because only its issuer can end it. */
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { hmacSha256 } from '../../crypto/bytes.ts';
import type { AuditEntry } from '../../model/audit.ts';
import { type Answer, notFound, unavailable } from './answers.ts';
import { byOf, issuerOf, type Question } from './decide.ts';
import type { Facade } from './exchange.ts';
import { record } from './record.ts';

type Revocation = Pick<Question, 'whose' | 'subject' | 'caller' | 'requestId'>;

/** Whose token it is to the audit. */
interface Whom {
  readonly subject: string | null;
  readonly details: AuditEntry['details'];
}

/** Its issuer says who it is of; where nobody does, whoever has the token can tell by this hash that it was this one. */
async function whomOf({ foreign }: Facade, { whose, subject }: Revocation): Promise<Whom> {
  const token = whose === 'unusable' || whose instanceof AllianceError ? subject : whose.token;
  const unknown = {
    subject: null,
    details: { hash: hmacSha256(Buffer.from(token), 'alliance/1 audit').toString('hex') },
  };
  if (whose === 'unusable' || whose instanceof AllianceError) return unknown;
  const verdict = await foreign.validate(whose, { allowExpired: false });
  if (verdict.kind !== 'valid') return unknown;
  const { user, auditIds } = verdict.facts;
  return { subject: user.id, details: { user, audit_id: auditIds[0] ?? null } };
}

const gone: Answer = { status: 204, headers: [], body: '' };

const entryOf = ({ whose, caller, requestId }: Revocation, whom: Whom, outcome: string): AuditEntry => ({
  kind: 'revocation',
  actor: `user:${caller.user.id}`,
  partner: issuerOf(whose),
  subject: whom.subject,
  outcome,
  rule: null,
  requestId,
  details: { ...whom.details, by: byOf(whose), caller: caller.user.name },
});

async function carryHome({ foreign, log }: Facade, { whose, requestId }: Revocation): Promise<string> {
  try {
    if (whose instanceof AllianceError) throw whose;
    return whose !== 'unusable' && (await foreign.revoke(whose)) ? 'revoked' : 'invalid';
  } catch (thrown) {
    log.warn({ err: toAllianceError(thrown), requestId }, 'A revocation could not be carried home.');
    return 'undecided';
  }
}

/** Recorded before it is sent, and again with what came of it. */
export async function revokeForeign(facade: Facade, revocation: Revocation): Promise<Answer> {
  const { whose, requestId } = revocation;
  const whom = await whomOf(facade, revocation);
  await record(facade, entryOf(revocation, whom, 'requested'));
  const outcome = await carryHome(facade, revocation);
  await record(facade, entryOf(revocation, whom, outcome));
  facade.telemetry.foreignAnswer(outcome, 'none');
  const facts = { issuer: issuerOf(whose), by: byOf(whose), outcome, requestId };
  facade.log.info(facts, 'A foreign token was to be revoked at the facade.');
  if (outcome === 'undecided') return unavailable('The cloud that issued the token cannot be asked.');
  return outcome === 'revoked' ? gone : notFound;
}
