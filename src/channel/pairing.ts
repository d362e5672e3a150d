/**
 * pair: how an invitation makes two clouds partners (docs/protocol.md, section 6). Both roles, without sockets and storage.
 *
 * The acceptor commits to its random value before it sees the inviter's, so a man in the middle has one guess at the verification code.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';
import { type CloudId, isCloudId } from '../core/ids.ts';
import { pairingLimits } from '../core/limits.ts';
import { equalBytes, hmacSha256, kdf, lengthPrefixed, sha256 } from '../crypto/bytes.ts';
import { type CertificateFacts, readCertificate } from '../crypto/certificate.ts';
import { verificationCode } from '../crypto/crockford.ts';
import type { Identity } from '../crypto/identity.ts';
import { signCompact, verifyCompact } from '../crypto/jws.ts';
import { bytesField, encodePayload, endpointsField, parsePayload } from './fields.ts';

/** What the PARTNER is to the cloud that says it. */
export type PartnerRole = 'provider' | 'consumer' | 'both';
export type Binding = 'none' | 'exporter';

export const mirrorRole = (role: PartnerRole): PartnerRole =>
  role === 'both' ? 'both' : role === 'provider' ? 'consumer' : 'provider';

export interface Card {
  readonly cloudId: CloudId;
  readonly certificate: Buffer;
  readonly endpoints: readonly string[];
  /** What the other cloud is to this one. */
  readonly role: PartnerRole;
  /** `exporter` when this cloud is reached over TLS only. */
  readonly binding: Binding;
}

const cardSchema = z.strictObject({
  cloud_id: z.string().refine(isCloudId),
  certificate: bytesField(1, pairingLimits.cardBytes),
  endpoints: endpointsField(0),
  role: z.enum(['provider', 'consumer', 'both']),
  binding: z.enum(['none', 'exporter']),
});

export function encodeCard(card: Card): Buffer {
  const { cloudId, ...rest } = card;
  return encodePayload({ cloud_id: cloudId, ...rest });
}

interface ReadCard extends Card {
  readonly facts: CertificateFacts;
}

/** A card is only as good as its certificate: a key that is not accepted makes it unreadable. Names in certificates mean nothing. */
function parseCard(bytes: Buffer): ReadCard | undefined {
  if (bytes.length > pairingLimits.cardBytes) return undefined;
  const json = parsePayload(cardSchema, bytes);
  if (!json) return undefined;
  try {
    const { cloud_id: cloudId, ...rest } = json;
    return { ...rest, cloudId: cloudId as CloudId, facts: readCertificate(json.certificate) };
  } catch {
    return undefined;
  }
}

export const invitationKey = (secret: Buffer, id: Buffer): Buffer => kdf(secret, id, 'alliance/1 pair', 32);

const commitmentOf = (nonce: Buffer, card: Buffer): Buffer => sha256('alliance/1 commit', nonce, lengthPrefixed(card));

interface Transcript {
  readonly id: Buffer;
  readonly acceptorCard: Buffer;
  readonly commitment: Buffer;
  readonly inviterCard: Buffer;
  readonly inviterNonce: Buffer;
  readonly acceptorNonce: Buffer;
}

const transcriptHash = (t: Transcript): Buffer =>
  sha256(
    'alliance/1 pair',
    t.id,
    lengthPrefixed(t.acceptorCard),
    t.commitment,
    lengthPrefixed(t.inviterCard),
    t.inviterNonce,
    t.acceptorNonce,
  );

type Side = 'acceptor' | 'inviter';

const macOf = (kp: Buffer, side: Side, tp: Buffer): Buffer => hmacSha256(kp, side, tp);

const codeOf = (kp: Buffer, t: Transcript, tp: Buffer): string =>
  verificationCode(
    kdf(kp, Buffer.concat([t.acceptorNonce, t.inviterNonce]), Buffer.concat([Buffer.from('alliance/1 code'), tp]), 8),
  );

const statementSchema = z.strictObject({
  v: z.literal(1),
  side: z.enum(['acceptor', 'inviter']),
  tp: bytesField(32),
});

const signTranscript = (identity: Identity, side: Side, tp: Buffer): Promise<string> =>
  signCompact({
    key: identity.privateKey,
    algorithm: identity.algorithm,
    use: 'alliance-pair',
    payload: encodePayload({ v: 1, side, tp }),
  });

async function transcriptSigned(jws: string, facts: CertificateFacts, side: Side, tp: Buffer): Promise<boolean> {
  if (jws.length > pairingLimits.signatureBytes) return false;
  try {
    const key = facts.certificate.publicKey;
    const payload = await verifyCompact(jws, { key, algorithm: facts.algorithm, use: 'alliance-pair' });
    const statement = parsePayload(statementSchema, payload);
    return statement?.side === side && equalBytes(statement.tp, tp);
  } catch {
    return false;
  }
}

/** What either side knows of the other after pairing. */
export interface PairedPartner {
  readonly cloudId: CloudId;
  readonly certificate: Buffer;
  readonly fingerprint: Buffer;
  readonly endpoints: readonly string[];
  readonly binding: Binding;
  /** Verification code, `XXXX-XXXX`, equal on both sides unless someone is in between. */
  readonly code: string;
}

const agreedBinding = (a: Card, b: Card): Binding =>
  a.binding === 'exporter' && b.binding === 'exporter' ? 'exporter' : 'none';

const pairedWith = (own: Card, other: ReadCard, code: string): PairedPartner => ({
  cloudId: other.cloudId,
  certificate: other.facts.der,
  fingerprint: other.facts.fingerprint,
  endpoints: other.endpoints,
  binding: agreedBinding(own, other),
  code,
});

// --- acceptor ---

export interface AcceptOptions {
  readonly identity: Identity;
  readonly card: Card;
  readonly invitation: {
    readonly id: Buffer;
    readonly secret: Buffer;
    readonly cloudId: string;
    readonly fingerprint: Buffer;
    readonly role: PartnerRole;
  };
}

export interface OpenFields {
  readonly invitationId: Buffer;
  readonly card: Buffer;
  readonly commitment: Buffer;
}

export interface ProofFields {
  readonly nonce: Buffer;
  readonly signature: string;
  readonly mac: Buffer;
}

const inviterRefused = (details: string): AllianceError => new AllianceError('pin_mismatch', { details });

/** First step of the acceptor; `prove` takes the offer and the fingerprint that TLS showed. */
export function startPairing(options: AcceptOptions) {
  const { identity, invitation } = options;
  const kp = invitationKey(invitation.secret, invitation.id);
  const nonce = randomBytes(32);
  const card = encodeCard(options.card);
  const commitment = commitmentOf(nonce, card);
  const open: OpenFields = { invitationId: invitation.id, card, commitment };

  const prove = async (offer: { card: Buffer; nonce: Buffer }, tlsFingerprint: Buffer) => {
    const inviter = parseCard(offer.card);
    if (!inviter || offer.nonce.length !== 32) throw inviterRefused("The inviter's card cannot be read.");
    const { fingerprint } = inviter.facts;
    if (!equalBytes(fingerprint, invitation.fingerprint) || !equalBytes(fingerprint, tlsFingerprint))
      throw inviterRefused('The inviter shows another key than the invitation names.');
    if (inviter.cloudId !== invitation.cloudId)
      throw inviterRefused('The inviter is not the cloud that the invitation names.');
    // So an inviter also answers to an invitation that it does not know; its key was the right one.
    if (inviter.role !== invitation.role)
      throw new AllianceError('invitation_refused', { details: 'It offers another role than the invitation names.' });
    const transcript: Transcript = {
      id: invitation.id,
      acceptorCard: card,
      commitment,
      inviterCard: offer.card,
      inviterNonce: offer.nonce,
      acceptorNonce: nonce,
    };
    const tp = transcriptHash(transcript);
    const proof: ProofFields = {
      nonce,
      signature: await signTranscript(identity, 'acceptor', tp),
      mac: macOf(kp, 'acceptor', tp),
    };
    const finish = async (result: { signature: string; mac: Buffer }): Promise<PairedPartner> => {
      if (!equalBytes(result.mac, macOf(kp, 'inviter', tp)))
        throw inviterRefused('The inviter does not hold the invitation.');
      if (!(await transcriptSigned(result.signature, inviter.facts, 'inviter', tp)))
        throw inviterRefused('The inviter did not sign what was said.');
      return pairedWith(options.card, inviter, codeOf(kp, transcript, tp));
    };
    return { proof, finish };
  };

  return { open, prove };
}

// --- inviter ---

export interface InviteOptions {
  readonly identity: Identity;
  readonly card: Card;
}

/**
 * First step of the inviter: the same answer whether or not the invitation is known. `accept` takes the acceptor's proof and the
 * invitation's key (undefined: unknown, used up, expired) and refuses with one error, `invitation_refused`, before it signs anything.
 */
export function answerOpen(options: InviteOptions, open: OpenFields) {
  const nonce = randomBytes(32);
  const card = encodeCard(options.card);

  const accept = async (proof: ProofFields, kp: Buffer | undefined) => {
    const transcript: Transcript = {
      id: open.invitationId,
      acceptorCard: open.card,
      commitment: open.commitment,
      inviterCard: card,
      inviterNonce: nonce,
      acceptorNonce: proof.nonce,
    };
    const tp = transcriptHash(transcript);
    const invited =
      proof.nonce.length === 32 &&
      equalBytes(open.commitment, commitmentOf(proof.nonce, open.card)) &&
      equalBytes(proof.mac, macOf(kp ?? randomBytes(32), 'acceptor', tp));
    // Only of who holds the invitation is a certificate looked at.
    const acceptor = invited ? parseCard(open.card) : undefined;
    const holds =
      acceptor !== undefined &&
      (await transcriptSigned(proof.signature, acceptor.facts, 'acceptor', tp)) &&
      acceptor.role === mirrorRole(options.card.role);
    if (!holds || !kp) throw new AllianceError('invitation_refused');
    return {
      partner: pairedWith(options.card, acceptor, codeOf(kp, transcript, tp)),
      /** Signs only now, and only what was proven. */
      sign: async () => ({
        signature: await signTranscript(options.identity, 'inviter', tp),
        mac: macOf(kp, 'inviter', tp),
      }),
    };
  };

  return { offer: { card, nonce }, accept };
}
