/** Rotation of an identity: one statement, signed by the old and by the new key (docs/protocol.md, section 7). */
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';
import { identityLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { type CertificateFacts, readCertificate } from '../crypto/certificate.ts';
import type { Identity } from '../crypto/identity.ts';
import { joinDetached, signCompact, splitDetached, verifyCompact } from '../crypto/jws.ts';
import { bytesField, encodePayload, parsePayload, timeField } from './fields.ts';
import type { PinnedKey } from './handshake.ts';

const schema = z.strictObject({
  v: z.literal(1),
  iss: z.string(),
  aud: z.string(),
  seq: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  old_key: bytesField(32),
  certificate: bytesField(1, identityLimits.certificateBytes),
  /** Start of the new certificate, for people: nothing depends on it. */
  not_before: timeField,
  overlap_till: timeField,
});

export interface RotationStatementFields {
  readonly payload: string;
  readonly oldSignature: string;
  readonly newSignature: string;
}

export interface RotationOptions {
  readonly oldIdentity: Identity;
  readonly newIdentity: Identity;
  /** cloud_id of the partner that is told. */
  readonly audience: string;
  readonly sequence: number;
  readonly notBefore: number;
  readonly overlapTill: number;
}

export async function createRotation(options: RotationOptions): Promise<RotationStatementFields> {
  const { oldIdentity, newIdentity } = options;
  const payload = encodePayload({
    v: 1,
    iss: oldIdentity.cloudId,
    aud: options.audience,
    seq: options.sequence,
    old_key: oldIdentity.fingerprint,
    certificate: newIdentity.certificateDer,
    not_before: options.notBefore,
    overlap_till: options.overlapTill,
  });
  const sign = (identity: Identity) =>
    signCompact({ key: identity.privateKey, algorithm: identity.algorithm, use: 'alliance-rotate', payload });
  const [old, renewed] = await Promise.all([sign(oldIdentity), sign(newIdentity)]);
  return {
    payload: splitDetached(old).payload,
    oldSignature: splitDetached(old).signature,
    newSignature: splitDetached(renewed).signature,
  };
}

export interface AcceptedRotation {
  readonly sequence: number;
  readonly facts: CertificateFacts;
  readonly oldFingerprint: Buffer;
  readonly overlapTill: number;
}

/**
 * Verifies a statement of `partner`, whose channel uses `channelKey`. `rotation_refused` for whatever is not signed by both keys, is
 * for another cloud, or would overlap too long. Sequence and a running overlap are the caller's to check, in its transaction.
 */
export async function verifyRotation(
  statement: RotationStatementFields,
  partner: { readonly cloudId: string; readonly channelKey: PinnedKey },
  ownCloudId: string,
  now: number,
): Promise<AcceptedRotation> {
  const refused = (details: string): AllianceError => new AllianceError('rotation_refused', { details });
  const verify = async (signature: string, key: Pick<PinnedKey, 'publicKey' | 'algorithm'>): Promise<Buffer> => {
    try {
      const jws = joinDetached(statement.payload, signature);
      return await verifyCompact(jws, { key: key.publicKey, algorithm: key.algorithm, use: 'alliance-rotate' });
    } catch (cause) {
      throw new AllianceError('rotation_refused', { cause, details: 'A signature does not verify.' });
    }
  };
  const payload = await verify(statement.oldSignature, partner.channelKey);
  const json = parsePayload(schema, payload);
  if (!json) throw refused('The payload cannot be read.');
  if (json.iss !== partner.cloudId || json.aud !== ownCloudId) throw refused('It is from or for another cloud.');
  if (!equalBytes(json.old_key, partner.channelKey.fingerprint)) throw refused('It does not come over the old key.');
  if (json.overlap_till <= now || json.overlap_till > now + identityLimits.overlapMs)
    throw refused('The overlap must end within 30 days.');
  let facts: CertificateFacts;
  try {
    facts = readCertificate(json.certificate);
  } catch (cause) {
    throw new AllianceError('rotation_refused', { cause, details: 'The new certificate is not accepted.' });
  }
  if (facts.notAfter <= now) throw refused('The new certificate has expired.');
  await verify(statement.newSignature, { publicKey: facts.certificate.publicKey, algorithm: facts.algorithm });
  return {
    sequence: json.seq,
    facts,
    oldFingerprint: json.old_key,
    overlapTill: json.overlap_till,
  };
}
