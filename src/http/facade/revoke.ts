/** `DELETE` of a foreign token: carried home, because only its issuer can end it. */
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import type { AuditEntry } from '../../model/audit.ts';
import { type Answer, notFound, unavailable } from './answers.ts';
import { byOf, issuerOf, type Question } from './decide.ts';
import type { Facade } from './exchange.ts';
import { record } from './record.ts';

type Revocation = Pick<Question, 'whose' | 'caller' | 'requestId'>;

const gone: Answer = { status: 204, headers: [], body: '' };

const entryOf = ({ whose, caller, requestId }: Revocation, outcome: string): AuditEntry => ({
  kind: 'revocation',
  actor: `user:${caller.user.id}`,
  partner: issuerOf(whose),
  subject: null,
  outcome,
  rule: null,
  requestId,
  details: { by: byOf(whose), caller: caller.user.name },
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
  await record(facade, entryOf(revocation, 'requested'));
  const outcome = await carryHome(facade, revocation);
  await record(facade, entryOf(revocation, outcome));
  facade.telemetry.foreignAnswer(outcome, 'none');
  const facts = { issuer: issuerOf(whose), by: byOf(whose), outcome, requestId };
  facade.log.info(facts, 'A foreign token was to be revoked at the facade.');
  if (outcome === 'undecided') return unavailable('The cloud that issued the token cannot be asked.');
  return outcome === 'revoked' ? gone : notFound;
}
