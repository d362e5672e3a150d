/** `DELETE` of a foreign token: carried home, because only its issuer can end it. */
import { toAllianceError } from '../../core/errors.ts';
import type { AuditEntry } from '../../model/audit.ts';
import { type Answer, notFound, unavailable } from './answers.ts';
import type { Question } from './decide.ts';
import type { Facade } from './exchange.ts';
import { record } from './record.ts';

type Revocation = Pick<Question, 'recognised' | 'caller' | 'requestId'>;

const gone: Answer = { status: 204, headers: [], body: '' };

const entryOf = ({ recognised, caller, requestId }: Revocation, outcome: string): AuditEntry => ({
  kind: 'revocation',
  actor: `user:${caller.user.id}`,
  partner: recognised === 'unusable' ? null : recognised.partner.cloudId,
  subject: null,
  outcome,
  rule: null,
  requestId,
  details: { by: recognised === 'unusable' ? 'qualified' : recognised.by, caller: caller.user.name },
});

/** Recorded before it is sent, and again with what came of it. */
export async function revokeForeign(facade: Facade, revocation: Revocation): Promise<Answer> {
  const { foreign, log, telemetry } = facade;
  const { recognised, requestId } = revocation;
  await record(facade, entryOf(revocation, recognised === 'unusable' ? 'invalid' : 'requested'));
  if (recognised === 'unusable') return notFound;
  const outcome = await foreign.revoke(recognised).then(
    (done) => (done ? 'revoked' : 'invalid'),
    (thrown: unknown) => {
      log.warn({ err: toAllianceError(thrown), requestId }, 'A revocation could not be carried home.');
      return 'undecided';
    },
  );
  await record(facade, entryOf(revocation, outcome));
  telemetry.foreignAnswer(outcome, 'none');
  const { partner, by } = recognised;
  log.info({ issuer: partner.cloudId, by, outcome, requestId }, 'A foreign token was to be revoked at the facade.');
  if (outcome === 'undecided') return unavailable('The cloud that issued the token cannot be asked.');
  return outcome === 'revoked' ? gone : notFound;
}
