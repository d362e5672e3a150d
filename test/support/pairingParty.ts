/** Two clouds that pair, and what each is about to send. */
import {
  answerOpen,
  type Card,
  invitationKey,
  mirrorRole,
  type PartnerRole,
  startPairing,
} from '../../src/channel/pairing.ts';
import type { CloudId } from '../../src/core/ids.ts';
import type { Identity } from '../../src/crypto/identity.ts';
import { labelled } from './randomness.ts';
import { east, west } from './ticketParty.ts';

export const invitationOf = (inviter: Identity, role: PartnerRole = 'both') => ({
  id: labelled('pairing id', 16),
  secret: labelled('pairing secret', 32),
  cloudId: inviter.cloudId,
  fingerprint: inviter.fingerprint,
  role,
});

export type PairingInvitation = ReturnType<typeof invitationOf>;

export const keyOf = ({ secret, id }: PairingInvitation): Buffer => invitationKey(secret, id);

export const cardOf = (identity: Identity, changes: Partial<Card> = {}): Card => ({
  cloudId: identity.cloudId,
  certificate: identity.certificateDer,
  endpoints: [`tls://${identity.cloudId}.example:9443`],
  role: 'both',
  binding: 'none',
  ...changes,
});

/** The JSON of a card with members changed, which the types would not let through. */
export const cardBytes = (card: Card, changes: Record<string, unknown> = {}): Buffer =>
  Buffer.from(
    JSON.stringify({
      cloud_id: card.cloudId as CloudId,
      certificate: card.certificate.toString('base64url'),
      endpoints: card.endpoints,
      role: card.role,
      binding: card.binding,
      ...changes,
    }),
  );

interface Parties {
  readonly acceptor?: Identity;
  readonly inviter?: Identity;
  readonly acceptorCard?: Partial<Card>;
  readonly inviterCard?: Partial<Card>;
  readonly invitation?: PairingInvitation;
}

/** Both first steps; the caller goes on with what it wants to spoil. */
export function begin(parties: Parties = {}) {
  const { acceptor = east, inviter = west } = parties;
  const invitation = parties.invitation ?? invitationOf(inviter);
  const { role } = invitation;
  const accepting = startPairing({
    identity: acceptor,
    card: cardOf(acceptor, { role: mirrorRole(role), ...parties.acceptorCard }),
    invitation,
  });
  const inviting = answerOpen(
    { identity: inviter, card: cardOf(inviter, { role, ...parties.inviterCard }) },
    accepting.open,
  );
  return { accepting, inviting, kp: keyOf(invitation), invitation, tlsFingerprint: inviter.fingerprint };
}

/** A whole pairing. */
export async function pairUp(parties: Parties = {}) {
  const { accepting, inviting, kp, tlsFingerprint } = begin(parties);
  const { proof, finish } = await accepting.prove(inviting.offer, tlsFingerprint);
  const { partner: acceptor, sign } = await inviting.accept(proof, kp);
  return { acceptor, inviter: await finish(await sign()) };
}
