/** Binds a connection to a session (docs/protocol.md, section 3). Whatever is wrong, the answer is the same: 1105, and the end. */
import { answerAttach, noBinding } from '../../channel/attach.ts';
import { mayAttach } from '../../channel/permissions.ts';
import { partnerConfig } from '../../core/config.ts';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import type { SessionId } from '../../core/ids.ts';
import { equalBytes } from '../../crypto/bytes.ts';
import { AttachResponse } from '../../wire/types.ts';
import type { Handler, InboundChannel, Peer, ServerContext } from '../context.ts';

export const attach: Handler<'attach'> = async (context, argument, { peer }) => {
  try {
    const { channel, binding } = await findChannel(context, argument.sid, peer);
    const { session, partner } = channel;
    const { response, keys } = answerAttach(
      session.secret,
      {
        sid: argument.sid,
        initiator: { cloudId: partner.cloudId, fingerprint: session.partnerFingerprint },
        responder: { cloudId: context.view.cloudId, fingerprint: session.ownFingerprint },
        binding,
      },
      argument,
    );
    limitChannels(context, channel, peer);
    peer.becomeChannel(channel, keys);
    return new AttachResponse({ ...response });
  } catch (thrown) {
    const error = toAllianceError(thrown);
    context.telemetry.refusal(error.errorName === 'session_invalid' ? 'attach' : error.errorName);
    throw error;
  }
};

async function findChannel({ store, view, clock }: ServerContext, sid: Buffer, peer: Peer) {
  const refuse = (details: string): never => {
    throw new AllianceError('session_invalid', { details });
  };
  if (sid.length !== 16) return refuse('The sid is malformed.');
  const session = await store.sessions.findLive(sid.toString('base64url') as SessionId, 'responder', clock.now());
  if (!session) return refuse('The session is unknown or has ended.');
  const partner = view.partnerByUid(session.partnerUid);
  if (!partner || !mayAttach(view.stateOf(partner))) return refuse('The partner is not active.');
  const key = view.pinsOf(partner).find((pin) => equalBytes(pin.fingerprint, session.partnerFingerprint));
  if (!key) return refuse("The partner's key is no longer valid.");
  if (!view.identities.some(({ identity }) => equalBytes(identity.fingerprint, session.ownFingerprint)))
    return refuse('Our key is no longer valid.');
  if (partner.binding === 'exporter' && !peer.exporter) return refuse('This partnership needs TLS.');
  const endsAt = Math.min(session.validTill, partner.trustTill ?? Number.POSITIVE_INFINITY);
  const channel: InboundChannel = { partner, session, key, endsAt };
  return { channel, binding: (partner.binding === 'exporter' && peer.exporter) || noBinding };
}

/** Only after the mac was right, so that nobody learns or uses up a partner's quota from outside. */
function limitChannels({ config }: ServerContext, { partner }: InboundChannel, peer: Peer): void {
  if (peer.channelsOf(partner.uid) >= partnerConfig(config(), partner.cloudId).channels)
    throw new AllianceError('overloaded', { details: 'The partner has too many channels.' });
}
