/** An answer about a foreign token: what its issuer says, what the mapping makes of it, and the record of both before anybody hears it. */
import { performance } from 'node:perf_hooks';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import type { CloudId } from '../../core/ids.ts';
import { auditLimits, facadeLimits } from '../../core/limits.ts';
import type { KeystoneToken } from '../../lproxy/keystoneBodies.ts';
import type { AuditEntry } from '../../model/audit.ts';
import type { ForeignVerdict, Recognised } from '../../token/foreign.ts';
import type { Localised } from '../../token/localise.ts';
import { type Answer, notFound, unavailable, validated } from './answers.ts';
import type { Caller } from './callers.ts';
import type { Facade } from './exchange.ts';
import { record, subjectOf } from './record.ts';

/** Whose a token is; `unusable`: of nobody who may issue any; an error: it could be somebody's who cannot be asked. */
export type Whose = Recognised | 'unusable' | AllianceError;

export interface Question {
  readonly whose: Whose;
  /** The token as it was sent. */
  readonly subject: string;
  readonly caller: Extract<Caller, { kind: 'may' }>;
  readonly allowExpired: boolean;
  readonly catalog: boolean;
  readonly accessRules: boolean;
  readonly requestId: string;
}

export const issuerOf = (whose: Whose): CloudId | null =>
  whose === 'unusable' || whose instanceof AllianceError ? null : whose.partner.cloudId;

/** How that is known. */
export const byOf = (whose: Whose): string =>
  whose === 'unusable' ? 'qualified' : whose instanceof AllianceError ? 'ask' : whose.by;

interface Decision {
  readonly outcome: 'valid' | 'invalid' | 'denied' | 'undecided';
  readonly answer: Answer;
  readonly verdict: ForeignVerdict;
  /** What the mapping made of it; null where it was not asked. */
  readonly local: Localised | null;
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
  const { whose, allowExpired, catalog, accessRules, subject } = question;
  const lap = stopwatch();
  const base = { local: null, reason: null };
  if (whose instanceof AllianceError) throw whose;
  if (whose === 'unusable') {
    const verdict = { kind: 'invalid', partner: null } as const;
    return { ...base, outcome: 'invalid', answer: notFound, verdict, reason: 'no_such_provider', hops: {} };
  }
  const verdict = await facade.foreign.validate(whose, { allowExpired });
  const validateMs = lap();
  if (verdict.kind === 'invalid')
    return { ...base, outcome: 'invalid', answer: notFound, verdict, hops: { validateMs } };
  if (verdict.kind === 'undecided') {
    const answer = unavailable(undecidedMessage, verdict.retryAfterMs);
    return { ...base, outcome: 'undecided', answer, verdict, reason: verdict.reason, hops: { validateMs } };
  }
  const local = await facade.localiser.localise(verdict, { catalog, accessRules });
  const done = { verdict, local, hops: { validateMs, localiseMs: lap() } };
  return local.kind === 'denied'
    ? { ...done, outcome: 'denied', answer: notFound, reason: local.reason }
    : { ...done, outcome: 'valid', answer: validated(local.body, subject), reason: null };
}

/** What could not be decided because something of ours failed. */
function undecided(error: AllianceError): Decision {
  const answer = unavailable(undecidedMessage, error.retryAfterMs);
  const retryAfterMs = error.retryAfterMs ?? facadeLimits.retryAfterMs;
  const verdict = { kind: 'undecided', partner: null, reason: error.errorName, retryAfterMs } as const;
  return { outcome: 'undecided', answer, verdict, local: null, reason: error.errorName, hops: {} };
}

const ruleOf = ({ local }: Decision): string | null =>
  local?.kind === 'accepted' ? local.rule.slice(0, auditLimits.wordBytes) : null;

/** Why the mapping denies, in full; for us alone. */
const detailsOf = ({ local }: Decision) =>
  local?.kind === 'denied' ? { why: local.details.slice(0, auditLimits.wordBytes) } : {};

function auditEntry({ whose, caller, requestId }: Question, decision: Decision): AuditEntry {
  const { verdict, outcome, local, reason } = decision;
  return {
    kind: 'validation',
    actor: `user:${caller.user.id}`,
    partner: issuerOf(whose),
    subject: verdict.kind === 'valid' ? verdict.facts.user.id : null,
    outcome,
    rule: ruleOf(decision),
    requestId,
    details: {
      // What the mapping could not read is no subject of it.
      ...(verdict.kind === 'valid' && local !== null && subjectOf(verdict).subject),
      ...(verdict.kind === 'valid' && { source: verdict.source, age_ms: Math.round(verdict.ageMs) }),
      ...detailsOf(decision),
      ...(reason !== null && { reason }),
      ...(local?.mapping && { mapping: local.mapping }),
      by: byOf(whose),
      caller: caller.user.name,
    },
  };
}

/** The token by what its issuer says of it: of its texts, whoever sends one may have more. */
const tokenOf = ({ auditIds, issuedAt, expiresAt }: KeystoneToken): readonly unknown[] => [
  ...auditIds,
  issuedAt,
  expiresAt,
];

/** What answers have in common that one record tells of: all that it says but the time and the request. */
function kindOf({ whose, caller, subject }: Question, { verdict, local, outcome, reason }: Decision): string {
  const isValid = verdict.kind === 'valid';
  const whom = isValid && local ? subjectOf(verdict).hash : null;
  const token = isValid && verdict.facts.auditIds.length > 0 ? tokenOf(verdict.facts) : [subject];
  const how = [
    byOf(whose),
    isValid && verdict.source === 'stale',
    reason,
    local?.mapping,
    local?.kind === 'accepted' ? local.rule : null,
  ];
  return JSON.stringify([token, caller.user.id, whom, outcome, ...how]);
}

function report({ log, telemetry }: Facade, question: Question, decision: Decision, auditMs: number): void {
  const { whose, requestId } = question;
  const { outcome, reason, verdict, hops } = decision;
  const source = verdict.kind === 'valid' ? verdict.source : 'none';
  telemetry.foreignAnswer(outcome, source);
  const level = outcome === 'undecided' || source === 'stale' ? 'warn' : source === 'cache' ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  const [issuer, by] = [issuerOf(whose), byOf(whose)];
  log[level](
    {
      issuer,
      by,
      source,
      outcome,
      reason,
      rule: ruleOf(decision),
      ...detailsOf(decision),
      requestId,
      ...hops,
      auditMs,
    },
    'A foreign token at the facade.',
  );
}

/** Whether what it rests on is still so: to find local names, and to record it, takes time. */
const stands = ({ foreign }: Facade, { allowExpired }: Question, { outcome, verdict }: Decision): boolean =>
  outcome !== 'valid' || verdict.kind !== 'valid' || foreign.stands(verdict, { allowExpired });

/** The answer, once it is in the audit; without a record there is none. What has ended meanwhile is decided anew. */
export async function answerForeign(facade: Facade, question: Question): Promise<Answer> {
  for (let left = facadeLimits.decisions; left > 0; left--) {
    const decision = await decide(facade, question).catch((thrown: unknown) => {
      const error = toAllianceError(thrown);
      facade.log.warn({ err: error, requestId: question.requestId }, 'A foreign token could not be decided.');
      return undecided(error);
    });
    if (!stands(facade, question, decision)) continue;
    const start = performance.now();
    await record(facade, auditEntry(question, decision), kindOf(question, decision));
    report(facade, question, decision, Math.round((performance.now() - start) * 1000) / 1000);
    // From here to the first byte nothing else runs.
    if (stands(facade, question, decision)) return decision.answer;
  }
  facade.log.warn(
    { requestId: question.requestId },
    'What is known of a foreign token changes faster than it is decided.',
  );
  return unavailable(undecidedMessage);
}
