/**
 * getSession, both roles, without sockets and storage (docs/protocol.md, section 2).
 *
 * The responder verifies before it signs, in the order of the specification; looking up partners, rates, replays and sessions is its
 * caller's part, between `verifyRequest` and `answerRequest`.
 */

import type { KeyObject } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { AllianceError } from '../core/errors.ts';
import { sessionLimits } from '../core/limits.ts';
import { equalBytes, sha256 } from '../crypto/bytes.ts';
import type { Identity } from '../crypto/identity.ts';
import { type SignatureAlgorithm, signCompact, verifyCompact } from '../crypto/jws.ts';
import { createEphemeral } from '../crypto/x25519.ts';
import { encodePayload } from './fields.ts';
import { deriveSessionKeys, optimisticProof, type SessionKeys } from './keys.ts';
import {
  type AnswerPayload,
  type Attempt,
  parseAnswerPayload,
  parseRequestPayload,
  type RequestPayload,
  readTicket,
  type Ticket,
  writeTicket,
} from './tickets.ts';

/** A partner's key as it was pinned. */
export interface PinnedKey {
  readonly fingerprint: Buffer;
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: KeyObject;
}

/** A session as both sides hold it after the handshake. */
export interface AgreedSession extends SessionKeys {
  readonly sid: Buffer;
  readonly attempt: Attempt;
  readonly ownFingerprint: Buffer;
  readonly partnerFingerprint: Buffer;
  readonly createdAt: number;
  readonly validTill: number;
}

export interface PreviousSession {
  readonly sid: Buffer;
  readonly continuity: Buffer;
}

const refused = (details: string): AllianceError => new AllianceError('ticket_refused', { details });

// --- initiator ---

export interface SessionRequest {
  readonly ticket: Ticket;
  /** Verifies the answer; a wrong one throws and leaves no trace. */
  readonly finish: (answer: Ticket, now: number) => Promise<AgreedSession>;
}

export interface StartSessionOptions {
  readonly identity: Identity;
  readonly partner: { readonly cloudId: string; readonly key: PinnedKey };
  readonly attempt: Attempt;
  /** Required for, and only for, an optimistic attempt. */
  readonly previous?: PreviousSession;
  readonly now: number;
}

export async function startSession(options: StartSessionOptions): Promise<SessionRequest> {
  const { identity, partner, attempt, previous, now } = options;
  const ephemeral = createEphemeral();
  const fields = {
    iss: identity.cloudId,
    aud: partner.cloudId,
    issKey: identity.fingerprint,
    audKey: partner.key.fingerprint,
    iat: now,
    jti: randomBytes(16),
    epk: ephemeral.publicKey,
  };
  const { issKey, audKey, ...rest } = fields;
  const prev = previous && { sid: previous.sid, proof: optimisticProof(previous.continuity, fields) };
  const payload = encodePayload({ v: 1, attempt, ...rest, iss_key: issKey, aud_key: audKey, ...(prev && { prev }) });
  const requestJws = await signCompact({
    key: identity.privateKey,
    algorithm: identity.algorithm,
    use: 'alliance-request',
    payload,
  });

  const finish = async (answer: Ticket, answeredAt: number): Promise<AgreedSession> => {
    const { jws: answerJws } = readTicket(answer);
    const { key, cloudId } = partner;
    const verified = await verifyCompact(answerJws, {
      key: key.publicKey,
      algorithm: key.algorithm,
      use: 'alliance-answer',
    });
    const body = parseAnswerPayload(verified);
    if (answer.cloudId !== cloudId || body.iss !== cloudId || body.aud !== identity.cloudId)
      throw refused('The answer is from or for another cloud.');
    checkMirrored(body, key.fingerprint, identity.fingerprint);
    if (body.attempt !== attempt) throw refused('The answer is to another attempt.');
    if (!equalBytes(body.req, sha256(requestJws))) throw refused('The answer is to another request.');
    checkSkew(body.iat, answeredAt);
    if (body.valid_till <= answeredAt || body.valid_till > body.iat + sessionLimits.maxLifeMs)
      throw refused('The session would end at an impossible time.');
    const keys = deriveSessionKeys(ephemeral.derive(body.epk), previous?.continuity, requestJws, answerJws);
    return {
      ...keys,
      sid: body.sid,
      attempt,
      ownFingerprint: identity.fingerprint,
      partnerFingerprint: key.fingerprint,
      createdAt: answeredAt,
      validTill: body.valid_till,
    };
  };

  return { ticket: writeTicket(identity.cloudId, requestJws), finish };
}

function checkMirrored(body: AnswerPayload, issKey: Buffer, audKey: Buffer): void {
  if (!equalBytes(body.iss_key, issKey) || !equalBytes(body.aud_key, audKey))
    throw refused('The answer names other keys.');
}

function checkSkew(iat: number, now: number): void {
  const skewMs = now - iat;
  if (Math.abs(skewMs) > sessionLimits.skewMs)
    throw new AllianceError('clock_skew', { details: `The clocks differ by ${Math.round(skewMs / 1000)} s.` });
}

// --- responder ---

export interface ReadRequest {
  readonly cloudId: string;
  readonly jws: string;
  readonly payload: RequestPayload;
}

/** Size and syntax, nothing else: what it says is not known to be true. */
export function readRequest(ticket: Ticket): ReadRequest {
  const { jws, payload } = readTicket(ticket);
  return { cloudId: ticket.cloudId, jws, payload: parseRequestPayload(payload) };
}

/**
 * Verifies a request against the pinned keys of the partner it names. Returns which of our identities it is meant for.
 * Everything that a stranger can cause is one error, `ticket_refused`; `clock_skew` is told only to who signed.
 */
export async function verifyRequest(
  request: ReadRequest,
  pinned: readonly PinnedKey[],
  identities: readonly Identity[],
  now: number,
): Promise<Identity> {
  const { payload } = request;
  const key = pinned.find((candidate) => equalBytes(candidate.fingerprint, payload.iss_key));
  if (!key) throw refused('The key is not pinned.');
  await verifyCompact(request.jws, { key: key.publicKey, algorithm: key.algorithm, use: 'alliance-request' });
  if (payload.iss !== request.cloudId) throw refused('The inner and outer cloud_id differ.');
  const identity = identities.find(
    (own) => own.cloudId === payload.aud && equalBytes(own.fingerprint, payload.aud_key),
  );
  if (!identity) throw refused('The ticket is for another cloud or key.');
  checkSkew(payload.iat, now);
  return identity;
}

/** Whether an optimistic request proves that it holds the continuity key. */
export function proofHolds(payload: RequestPayload & { attempt: 'optimistic' }, continuity: Buffer): boolean {
  const { iss, aud, iss_key: issKey, aud_key: audKey, iat, jti, epk, prev } = payload;
  return equalBytes(prev.proof, optimisticProof(continuity, { iss, aud, issKey, audKey, iat, jti, epk }));
}

export interface AnswerOptions {
  readonly identity: Identity;
  /** Continuity key of the session that an optimistic request proved to hold. */
  readonly previousContinuity?: Buffer;
  readonly now: number;
  /** The trust's end, if it has one. */
  readonly trustTill?: number;
}

export async function answerRequest(
  request: ReadRequest,
  options: AnswerOptions,
): Promise<{ ticket: Ticket; session: AgreedSession }> {
  const { identity, now } = options;
  const { payload } = request;
  const ephemeral = createEphemeral();
  const sharedSecret = ephemeral.derive(payload.epk);
  const sid = randomBytes(16);
  const validTill = Math.min(now + sessionLimits.lifeMs, options.trustTill ?? Number.POSITIVE_INFINITY);
  const answer = encodePayload({
    v: 1,
    attempt: payload.attempt,
    iss: identity.cloudId,
    aud: payload.iss,
    iss_key: identity.fingerprint,
    aud_key: payload.iss_key,
    iat: now,
    jti: randomBytes(16),
    epk: ephemeral.publicKey,
    req: sha256(request.jws),
    sid,
    valid_till: validTill,
  });
  const answerJws = await signCompact({
    key: identity.privateKey,
    algorithm: identity.algorithm,
    use: 'alliance-answer',
    payload: answer,
  });
  const keys = deriveSessionKeys(sharedSecret, options.previousContinuity, request.jws, answerJws);
  const session: AgreedSession = {
    ...keys,
    sid,
    attempt: payload.attempt,
    ownFingerprint: identity.fingerprint,
    partnerFingerprint: payload.iss_key,
    createdAt: now,
    validTill,
  };
  return { ticket: writeTicket(identity.cloudId, answerJws), session };
}
