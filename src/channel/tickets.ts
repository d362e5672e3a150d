/** The ticket's two payloads and its form on the wire (docs/protocol.md, section 2). Strict: unknown, missing and null members are refused. */
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';
import { sessionLimits } from '../core/limits.ts';
import { fromBase64url } from '../crypto/bytes.ts';
import { joinDetached, splitDetached } from '../crypto/jws.ts';
import { bytesField, timeField } from './fields.ts';

export type Attempt = 'bootstrap' | 'optimistic' | 'fallback';

/** SessionTKT in our spelling. */
export interface Ticket {
  readonly cloudId: string;
  readonly signature: string;
  readonly pkiData: string;
}

const common = {
  v: z.literal(1),
  iss: z.string().min(1).max(63),
  aud: z.string().min(1).max(63),
  iss_key: bytesField(32),
  aud_key: bytesField(32),
  iat: timeField,
  jti: bytesField(16),
  epk: bytesField(32),
};

const attempts = ['bootstrap', 'optimistic', 'fallback'] as const;

const requestSchema = z.discriminatedUnion('attempt', [
  z.strictObject({ ...common, attempt: z.literal('bootstrap') }),
  z.strictObject({ ...common, attempt: z.literal('fallback') }),
  z.strictObject({
    ...common,
    attempt: z.literal('optimistic'),
    prev: z.strictObject({ sid: bytesField(16), proof: bytesField(32) }),
  }),
]);

const answerSchema = z.strictObject({
  ...common,
  attempt: z.enum(attempts),
  req: bytesField(32),
  sid: bytesField(16),
  valid_till: timeField,
});

export type RequestPayload = z.infer<typeof requestSchema>;
export type AnswerPayload = z.infer<typeof answerSchema>;

const unreadable = (details: string): AllianceError => new AllianceError('ticket_unreadable', { details });

function parseJson(jsonBytes: Buffer): unknown {
  try {
    return JSON.parse(jsonBytes.toString('utf8'));
  } catch {
    throw unreadable('The payload is no JSON.');
  }
}

/** `ticket_unreadable` for any defect of form, `attempt_unknown` for an attempt of a later version. */
export function parseRequestPayload(payload: Buffer): RequestPayload {
  const json = parseJson(payload);
  const attempt = (json as { attempt?: unknown } | null)?.attempt;
  if (typeof attempt === 'string' && !attempts.some((known) => known === attempt))
    throw new AllianceError('attempt_unknown', { details: 'attempt must be bootstrap, optimistic or fallback.' });
  const parsed = requestSchema.safeParse(json);
  if (!parsed.success) throw unreadable(describe(parsed.error));
  return parsed.data;
}

export function parseAnswerPayload(payload: Buffer): AnswerPayload {
  const parsed = answerSchema.safeParse(parseJson(payload));
  if (!parsed.success) throw unreadable(describe(parsed.error));
  return parsed.data;
}

/** Names the members, never their values. */
const describe = (error: z.ZodError): string =>
  error.issues.map((issue) => `${issue.path.map(String).join('.') || 'payload'}: ${issue.code}`).join('; ');

/** The compact JWS of a ticket, after the checks of size and syntax. */
export function readTicket(ticket: Ticket): { jws: string; payload: Buffer } {
  const size = ticket.cloudId.length + ticket.signature.length + ticket.pkiData.length;
  if (size > sessionLimits.ticketBytes) throw unreadable('The ticket is larger than 4 KiB.');
  try {
    return { jws: joinDetached(ticket.pkiData, ticket.signature), payload: fromBase64url(ticket.pkiData) };
  } catch (cause) {
    throw new AllianceError('ticket_unreadable', { cause, details: 'pki_data or signature is not base64url.' });
  }
}

export function writeTicket(cloudId: string, jws: string): Ticket {
  const { payload, signature } = splitDetached(jws);
  return { cloudId, signature, pkiData: payload };
}
