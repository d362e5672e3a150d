/** The ticket's two payloads and its form on the wire (docs/protocol.md, section 2). Strict: unknown, missing and null members are refused. */
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';
import { sessionLimits } from '../core/limits.ts';
import { fromBase64url } from '../crypto/bytes.ts';
import { joinDetached, splitDetached } from '../crypto/jws.ts';

export type Attempt = 'bootstrap' | 'optimistic' | 'fallback';

/** SessionTKT in our spelling. */
export interface Ticket {
  readonly cloudId: string;
  readonly signature: string;
  readonly pkiData: string;
}

/** base64url of exactly `size` bytes, as a Buffer. */
const bytes = (size: number) =>
  z.string().transform((text, ctx) => {
    try {
      const decoded = fromBase64url(text);
      if (decoded.length === size) return decoded;
    } catch {
      // Falls through to the one refusal below: how the text is wrong is nobody's business.
    }
    ctx.addIssue({ code: 'custom', message: `not ${size} bytes of base64url` });
    return z.NEVER;
  });

const time = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const common = {
  v: z.literal(1),
  iss: z.string().min(1).max(63),
  aud: z.string().min(1).max(63),
  iss_key: bytes(32),
  aud_key: bytes(32),
  iat: time,
  jti: bytes(16),
  epk: bytes(32),
};

const attempts = ['bootstrap', 'optimistic', 'fallback'] as const;

const requestSchema = z.discriminatedUnion('attempt', [
  z.strictObject({ ...common, attempt: z.literal('bootstrap') }),
  z.strictObject({ ...common, attempt: z.literal('fallback') }),
  z.strictObject({
    ...common,
    attempt: z.literal('optimistic'),
    prev: z.strictObject({ sid: bytes(16), proof: bytes(32) }),
  }),
]);

const answerSchema = z.strictObject({
  ...common,
  attempt: z.enum(attempts),
  req: bytes(32),
  sid: bytes(16),
  valid_till: time,
});

export type RequestPayload = z.infer<typeof requestSchema>;
export type AnswerPayload = z.infer<typeof answerSchema>;

/** Payload object to JSON bytes; buffers become base64url, the order of members is the order of writing. */
export function encodePayload(payload: Record<string, unknown>): Buffer {
  return Buffer.from(
    JSON.stringify(payload, (_key, value: unknown) => {
      // JSON.stringify has already called Buffer's toJSON, so bytes arrive in that form.
      const json = value as { type?: unknown; data?: unknown } | null;
      return json && typeof json === 'object' && json.type === 'Buffer' && Array.isArray(json.data)
        ? Buffer.from(json.data as number[]).toString('base64url')
        : value;
    }),
  );
}

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
