/** The inviter's part of pairing (docs/protocol.md, section 6): two calls on one TLS connection. */
import { answerOpen } from '../../channel/pairing.ts';
import { AllianceError } from '../../core/errors.ts';
import type { InvitationId } from '../../core/ids.ts';
import { pairingLimits } from '../../core/limits.ts';
import { readCertificate } from '../../crypto/certificate.ts';
import type { Invitation } from '../../model/invitation.ts';
import { PairingState, PairOffer, type PairOpen, type PairProof, PairResponse, PairResult } from '../../wire/types.ts';
import type { Handler, InboundCall, ServerContext } from '../context.ts';

export const pair: Handler<'pair'> = async (context, argument, call) => {
  if (!call.peer.tls) throw new AllianceError('pairing_needs_tls');
  const { open, proof } = argument;
  if (open && !proof) return new PairResponse({ offer: await answerFirst(context, open, call) });
  if (proof && !open) return new PairResponse({ result: await answerSecond(context, proof, call) });
  throw new AllianceError('bad_request', { field: 'request', details: 'Exactly one of open and proof must be set.' });
};

async function answerFirst(context: ServerContext, open: PairOpen, { peer }: InboundCall): Promise<PairOffer> {
  if (peer.pairing) throw new AllianceError('bad_request', { details: 'One pairing a connection.' });
  if (open.card.length > pairingLimits.cardBytes || open.commitment.length !== 32)
    throw new AllianceError('bad_request', { field: 'open', details: 'The card or commitment has no valid length.' });
  const fields = { invitationId: open.invitation_id, card: open.card, commitment: open.commitment };
  // One that has expired still has its role, so that its holder is told at the end what is wrong with it.
  const invitation = await storedInvitation(context, open.invitation_id);
  const options = {
    identity: context.view.current.identity,
    card: context.card(invitation?.role ?? context.decoyRole(open.invitation_id)),
  };
  const answer = answerOpen(options, fields);
  peer.pairing = { open: fields, answer };
  return new PairOffer({ ...answer.offer });
}

async function answerSecond(context: ServerContext, proof: PairProof, { peer }: InboundCall): Promise<PairResult> {
  const { pairing } = peer;
  if (!pairing) throw new AllianceError('bad_request', { field: 'proof', details: 'open must come first.' });
  peer.pairing = undefined;
  peer.endAfterReply();
  const { store, clock, telemetry, log } = context;
  try {
    const invitation = await findInvitation(context, pairing.open.invitationId);
    const { partner: claimed, sign } = await pairing.answer.accept(proof, invitation?.kp);
    if (!invitation) throw new AllianceError('invitation_refused');
    const { algorithm, notBefore, notAfter } = readCertificate(claimed.certificate);
    const { partner } = await store.invitations.consume(invitation.id, {
      fingerprint: claimed.fingerprint,
      now: clock.now(),
      partner: {
        cloudId: claimed.cloudId,
        name: invitation.name,
        role: invitation.role,
        state: invitation.approve ? 'pending' : 'active',
        approval: invitation.approve ? 'us' : null,
        trustTill: invitation.trustTill,
        endpoints: claimed.endpoints,
        key: { fingerprint: claimed.fingerprint, algorithm, certificateDer: claimed.certificate, notBefore, notAfter },
        binding: claimed.binding,
        code: claimed.code,
        acknowledgedSequence: context.view.current.sequence,
        replaceIdentity: invitation.replaceIdentity,
      },
    });
    await context.view.refresh();
    const signed = await context.sign(sign);
    log.info({ partner: partner.cloudId, state: partner.state }, 'An invitation was accepted.');
    return new PairResult({
      ...signed,
      state: partner.state === 'active' ? PairingState.ACTIVE : PairingState.PENDING,
    });
  } catch (thrown) {
    telemetry.refusal('pairing');
    log.warn({ err: thrown }, 'Security: a pairing was refused.');
    throw thrown;
  }
}

async function storedInvitation({ store }: ServerContext, id: Buffer): Promise<Invitation | null> {
  return id.length === 16 ? store.invitations.find(id.toString('base64url') as InvitationId) : null;
}

/** The invitation if it may still be accepted; one that was used may be repeated by who used it, which `consume` checks. */
async function findInvitation(context: ServerContext, id: Buffer): Promise<Invitation | undefined> {
  const invitation = await storedInvitation(context, id);
  return invitation && context.clock.now() < invitation.expiresAt ? invitation : undefined;
}
