/** An answer about a foreign token: what its issuer says, what the mapping makes of it, and the record of both before anybody hears it. */
import { performance } from 'node:perf_hooks';
import { type AllianceError, toAllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import type { AuditEntry } from '../../model/audit.ts';
import type { ForeignVerdict, Recognised } from '../../token/foreign.ts';
import { type Answer, notFound, unavailable, validated } from './answers.ts';
import type { Caller } from './callers.ts';
import type { Facade } from './exchange.ts';
import { identityDetails, record } from './record.ts';

export interface Question {
  readonly recognised: Recognised | 'unusable';
  /** The token as it was sent. */
  readonly subject: string;
  readonly caller: Extract<Caller, { kind: 'may' }>;
  readonly allowExpired: boolean;
  readonly catalog: boolean;
  readonly accessRules: boolean;
  readonly requestId: string;
}

interface Decision {
  readonly outcome: 'valid' | 'invalid' | 'denied' | 'undecided';
  readonly answer: Answer;
  readonly verdict: ForeignVerdict;
  readonly rule: string | null;
  readonly reason: string | null;
  readonly hops: Readonly<Record<string, number>>;
}

const undecidedMessage = 'The cloud that issued the token cannot be asked.';

/** Time since the last hop, ms. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const ms = Math.round((now - last) * 1000) / 1000;
    last = now;
    return ms;
  };
}

async function decide(facade: Facade, question: Question): Promise<Decision> {
  const { recognised, allowExpired, catalog, accessRules, subject } = question;
  const lap = stopwatch();
  const none = { rule: null, reason: null };
  if (recognised === 'unusable') {
    const verdict = { kind: 'invalid', partner: null } as const;
    return { ...none, outcome: 'invalid', answer: notFound, verdict, reason: 'no_such_provider', hops: {} };
  }
  const verdict = await facade.foreign.validate(recognised, { allowExpired });
  const validateMs = lap();
  if (verdict.kind === 'invalid')
    return { ...none, outcome: 'invalid', answer: notFound, verdict, hops: { validateMs } };
  if (verdict.kind === 'undecided') {
    const answer = unavailable(undecidedMessage, verdict.retryAfterMs);
    return { ...none, outcome: 'undecided', answer, verdict, reason: verdict.reason, hops: { validateMs } };
  }
  const local = await facade.localiser.localise(verdict, { catalog, accessRules });
  const hops = { validateMs, localiseMs: lap() };
  if (local.kind === 'denied')
    return { outcome: 'denied', answer: notFound, verdict, rule: null, reason: local.reason, hops };
  return { outcome: 'valid', answer: validated(local.body, subject), verdict, rule: local.rule, reason: null, hops };
}

/** What could not be decided because something of ours failed. */
function undecided(error: AllianceError): Decision {
  const answer = unavailable(undecidedMessage, error.retryAfterMs);
  const retryAfterMs = error.retryAfterMs ?? facadeLimits.retryAfterMs;
  const verdict = { kind: 'undecided', partner: null, reason: error.errorName, retryAfterMs } as const;
  return { outcome: 'undecided', answer, verdict, rule: null, reason: error.errorName, hops: {} };
}

function auditEntry({ recognised, caller, requestId }: Question, decision: Decision): AuditEntry {
  const { verdict, outcome, rule, reason } = decision;
  const known = recognised === 'unusable' ? undefined : recognised;
  return {
    kind: 'validation',
    actor: `user:${caller.user.id}`,
    partner: (known?.partner ?? verdict.partner)?.cloudId ?? null,
    subject: verdict.kind === 'valid' ? verdict.facts.user.id : null,
    outcome,
    rule,
    requestId,
    details: {
      ...(verdict.kind === 'valid' && identityDetails(verdict)),
      ...(reason !== null && { reason }),
      by: known?.by ?? 'qualified',
      caller: caller.user.name,
    },
  };
}

function report({ log, telemetry }: Facade, question: Question, decision: Decision, auditMs: number): void {
  const { recognised, requestId } = question;
  const { outcome, reason, rule, verdict, hops } = decision;
  const source = verdict.kind === 'valid' ? verdict.source : 'none';
  telemetry.foreignAnswer(outcome, source);
  const level = outcome === 'undecided' || source === 'stale' ? 'warn' : source === 'cache' ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  const known = recognised === 'unusable' ? undefined : recognised;
  const issuer = known?.partner.cloudId ?? null;
  const by = known?.by ?? 'qualified';
  log[level](
    { issuer, by, source, outcome, reason, rule, requestId, ...hops, auditMs },
    'A foreign token at the facade.',
  );
}

/** The answer, once it is in the audit; without a record there is none. */
export async function answerForeign(facade: Facade, question: Question): Promise<Answer> {
  const decision = await decide(facade, question).catch((thrown: unknown) => {
    const error = toAllianceError(thrown);
    facade.log.warn({ err: error, requestId: question.requestId }, 'A foreign token could not be decided.');
    return undecided(error);
  });
  const start = performance.now();
  await record(facade, auditEntry(question, decision));
  report(facade, question, decision, Math.round((performance.now() - start) * 1000) / 1000);
  return decision.answer;
}
