/** Key schedule of session and channel (docs/protocol.md, sections 2 and 3). Pure: bytes in, bytes out. */
import { hmacSha256, kdf, lengthPrefixed, sha256, u64 } from '../crypto/bytes.ts';

const noContinuity = Buffer.alloc(32);
const empty = Buffer.alloc(0);

export interface ProofFields {
  readonly iss: string;
  readonly aud: string;
  readonly issKey: Buffer;
  readonly audKey: Buffer;
  readonly iat: number;
  readonly jti: Buffer;
  readonly epk: Buffer;
}

/** Proof, inside a request, that the initiator holds the continuity key of the session it names. */
export function optimisticProof(continuity: Buffer, fields: ProofFields): Buffer {
  return hmacSha256(
    kdf(continuity, empty, 'alliance/1 optimistic', 32),
    lengthPrefixed(fields.iss),
    lengthPrefixed(fields.aud),
    fields.issKey,
    fields.audKey,
    u64(fields.iat),
    fields.jti,
    fields.epk,
  );
}

export interface SessionKeys {
  /** Authenticates `attach` and salts the keys of channels; 32 bytes. */
  readonly secret: Buffer;
  /** Carried into the next session by an optimistic attempt; 32 bytes. */
  readonly continuity: Buffer;
}

/** `requestJws` and `answerJws` are the compact forms; `sharedSecret` is X25519 of the two ephemeral keys. */
export function deriveSessionKeys(
  sharedSecret: Buffer,
  previousContinuity: Buffer | undefined,
  requestJws: string,
  answerJws: string,
): SessionKeys {
  const th = sha256('alliance/1 session', lengthPrefixed(requestJws), lengthPrefixed(answerJws));
  const salt = previousContinuity ?? noContinuity;
  return {
    secret: kdf(sharedSecret, salt, Buffer.concat([Buffer.from('alliance/1 secret'), th]), 32),
    continuity: kdf(sharedSecret, salt, Buffer.concat([Buffer.from('alliance/1 continuity'), th]), 32),
  };
}

export interface AttachContext {
  readonly sid: Buffer;
  readonly initiator: { readonly cloudId: string; readonly fingerprint: Buffer };
  readonly responder: { readonly cloudId: string; readonly fingerprint: Buffer };
  /** 32 zero bytes, or the TLS exporter's value (RFC 9266), as agreed at pairing. */
  readonly binding: Buffer;
}

export function attachContext(context: AttachContext, epk: Buffer, nonce: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from('alliance/1 attach'),
    context.sid,
    lengthPrefixed(context.initiator.cloudId),
    lengthPrefixed(context.responder.cloudId),
    context.initiator.fingerprint,
    context.responder.fingerprint,
    context.binding,
    epk,
    nonce,
  ]);
}

export function attachMac(secret: Buffer, ctx: Buffer): Buffer {
  return hmacSha256(kdf(secret, empty, 'alliance/1 attach key', 32), ctx);
}

export interface ChannelSchedule {
  readonly initiatorKey: Buffer;
  readonly initiatorIv: Buffer;
  readonly responderKey: Buffer;
  readonly responderIv: Buffer;
  /** mac_R: the responder's confirmation, 32 bytes. */
  readonly confirmation: Buffer;
}

export function deriveChannelKeys(
  sharedSecret: Buffer,
  secret: Buffer,
  ctx: Buffer,
  initiatorMac: Buffer,
  responderEpk: Buffer,
  responderNonce: Buffer,
): ChannelSchedule {
  const ta = sha256(lengthPrefixed(ctx), initiatorMac, responderEpk, responderNonce);
  const k = kdf(sharedSecret, secret, Buffer.concat([Buffer.from('alliance/1 channel'), ta]), 120);
  return {
    initiatorKey: k.subarray(0, 32),
    initiatorIv: k.subarray(32, 44),
    responderKey: k.subarray(44, 76),
    responderIv: k.subarray(76, 88),
    confirmation: hmacSha256(k.subarray(88, 120), 'alliance/1 responder', ta),
  };
}
