/** The invitation token: one line that an operator hands to the other (docs/protocol.md, section 6). */
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';
import { type CloudId, isCloudId } from '../core/ids.ts';
import { pairingLimits } from '../core/limits.ts';
import { equalBytes, fromBase64url, sha256 } from '../crypto/bytes.ts';
import { bytesField, encodePayload, endpointsField, parsePayload, timeField } from './fields.ts';
import type { PartnerRole } from './pairing.ts';

export interface Invitation {
  readonly id: Buffer;
  readonly secret: Buffer;
  /** The inviter. */
  readonly cloudId: CloudId;
  readonly fingerprint: Buffer;
  readonly endpoints: readonly string[];
  /** What the acceptor will be to the inviter. */
  readonly role: PartnerRole;
  readonly expiresAt: number;
}

const prefix = 'alliance1';

const schema = z.strictObject({
  v: z.literal(1),
  id: bytesField(16),
  secret: bytesField(32),
  cloud_id: z.string().refine(isCloudId),
  fp: bytesField(32),
  endpoints: endpointsField(1),
  role: z.enum(['provider', 'consumer', 'both']),
  exp: timeField,
});

/** Catches a token cut short or mistyped before anything is dialled; it authenticates nothing. */
const checksumOf = (body: string): Buffer => sha256('alliance/1 invitation', body).subarray(0, 6);

export function encodeInvitation(invitation: Invitation): string {
  const { id, secret, cloudId, fingerprint, endpoints, role, expiresAt } = invitation;
  const payload = { v: 1, id, secret, cloud_id: cloudId, fp: fingerprint, endpoints, role, exp: expiresAt };
  const body = encodePayload(payload).toString('base64url');
  return `${prefix}.${body}.${checksumOf(body).toString('base64url')}`;
}

/** `invitation_unreadable` names what is wrong with the form; the token itself is never part of it. */
export function decodeInvitation(text: string): Invitation {
  const unreadable = (details: string): AllianceError => new AllianceError('invitation_unreadable', { details });
  const parts = text.trim().split('.');
  const [head, body, checksum] = parts;
  if (head !== prefix || parts.length !== 3 || !body || !checksum)
    throw unreadable('It must have the form alliance1.<body>.<checksum>.');
  if (text.length > pairingLimits.tokenBytes) throw unreadable('It is too long.');
  let payload: Buffer;
  try {
    if (!equalBytes(fromBase64url(checksum), checksumOf(body))) throw unreadable('The checksum differs.');
    payload = fromBase64url(body);
  } catch (cause) {
    throw cause instanceof AllianceError && cause.errorName === 'invitation_unreadable'
      ? cause
      : unreadable('It is not base64url.');
  }
  const json = parsePayload(schema, payload);
  if (!json) throw unreadable('Its content is damaged or of another version.');
  return {
    id: json.id,
    secret: json.secret,
    cloudId: json.cloud_id as CloudId,
    fingerprint: json.fp,
    endpoints: json.endpoints,
    role: json.role,
    expiresAt: json.exp,
  };
}
