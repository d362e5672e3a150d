/** Pairing seen from the side that dials: accept an invitation, ask whether it was approved, tell the end of the trust. */

import type { Invitation } from '../channel/invitation.ts';
import { type Card, type PairedPartner, startPairing } from '../channel/pairing.ts';
import { ClientConnection } from '../client/connection.ts';
import { dial } from '../client/dial.ts';
import type { DialPolicy } from '../client/dialPolicy.ts';
import { callOnce, type OneShotOptions } from '../client/oneShot.ts';
import type { ClientPool } from '../client/pool.ts';
import { parseEndpoint } from '../core/endpoint.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { taskLimits } from '../core/limits.ts';
import type { Identity } from '../crypto/identity.ts';
import type { Partner } from '../model/partner.ts';
import { PairingState, PairOpen, PairProof, PairRequest, TrustEnd } from '../wire/types.ts';
import { readTime } from './time.ts';

export interface AcceptInvitationOptions {
  readonly invitation: Invitation;
  readonly identity: Identity;
  readonly card: Card;
  readonly policy: DialPolicy;
}

export interface AcceptedInvitation {
  readonly partner: PairedPartner;
  /** Whether the inviter's operator has still to approve. */
  readonly pending: boolean;
}

/** Pairs with the inviter over the first of its TLS endpoints that answers. Nothing is stored here. */
export async function acceptInvitation(options: AcceptInvitationOptions): Promise<AcceptedInvitation> {
  const { invitation, policy } = options;
  const endpoints = invitation.endpoints.map(parseEndpoint).filter(({ scheme }) => scheme === 'tls');
  let failure = new AllianceError('pairing_needs_tls', { details: 'The invitation names no TLS endpoint.' });
  for (const endpoint of endpoints) {
    let connection: ClientConnection | undefined;
    try {
      connection = new ClientConnection(await dial({ endpoint, policy, pins: [invitation.fingerprint] }));
      return await pairOver(connection, options);
    } catch (thrown) {
      failure = toAllianceError(thrown);
      // Another endpoint is no cure for what the inviter itself said.
      if (failure.errorName !== 'unreachable' && failure.errorName !== 'dial_refused') throw failure;
    } finally {
      connection?.close();
    }
  }
  throw failure;
}

async function pairOver(
  connection: ClientConnection,
  { invitation, identity, card }: AcceptInvitationOptions,
): Promise<AcceptedInvitation> {
  const pairing = startPairing({ identity, card, invitation });
  const { invitationId, card: cardBytes, commitment } = pairing.open;
  const open = new PairOpen({ invitation_id: invitationId, card: cardBytes, commitment });
  const { offer } = await connection.call('pair', new PairRequest({ open }));
  if (!offer) throw new AllianceError('wire_malformed', { field: 'offer', details: 'The offer is missing.' });
  const { proof, finish } = await pairing.prove(offer, connection.dialled.fingerprint ?? Buffer.alloc(0));
  const { result } = await connection.call('pair', new PairRequest({ proof: new PairProof({ ...proof }) }));
  if (!result) throw new AllianceError('wire_malformed', { field: 'result', details: 'The result is missing.' });
  return { partner: await finish(result), pending: result.state === PairingState.PENDING };
}

export interface PairingAnswer {
  readonly active: boolean;
  readonly trustTill: number | null;
}

/** What the inviter says of our pairing. */
export async function askPairing(pool: ClientPool, partner: Partner): Promise<PairingAnswer> {
  const { state, trust_till: trustTill } = await pool.call(partner, 'getPairing', undefined);
  return { active: state === PairingState.ACTIVE, trustTill: trustTill ? readTime(trustTill, 'trust_till') : null };
}

const endReason = (how: 'revoked' | 'removed'): TrustEnd => (how === 'revoked' ? TrustEnd.REVOKED : TrustEnd.REMOVED);

/** Tells a partner, over a channel, that this side is about to end the trust. */
export function tellEndOfTrust(pool: ClientPool, partner: Partner, how: 'revoked' | 'removed'): Promise<undefined> {
  return pool.call(partner, 'endTrust', endReason(how), { timeoutMs: taskLimits.noticeTimeoutMs });
}

/** Tells it afterwards, when there are neither channels nor sessions any more. */
export function tellEndOfTrustLate(
  options: Omit<OneShotOptions, 'timeoutMs'>,
  how: 'revoked' | 'removed',
): Promise<undefined> {
  return callOnce({ ...options, timeoutMs: taskLimits.noticeTimeoutMs }, 'endTrust', endReason(how));
}
