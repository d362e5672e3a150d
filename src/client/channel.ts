/** One attached connection to a partner, and when it has to make way for its successor. */
import { noBinding } from '../channel/attach.ts';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { channelLimits, clientLimits } from '../core/limits.ts';
import type { Identity } from '../crypto/identity.ts';
import type { Partner } from '../model/partner.ts';
import type { StoredSession } from '../model/session.ts';
import type { ClientConnection } from './connection.ts';

export interface Channel {
  readonly connection: ClientConnection;
  readonly session: StoredSession;
  readonly openedAt: number;
  /** When it must be closed: end of the session or of the trust. */
  readonly endsAt: number;
  /** Takes no new calls; closes when the last one is answered. */
  retiring: boolean;
}

export interface AttachOptions {
  readonly connection: ClientConnection;
  readonly session: StoredSession;
  readonly partner: Partner;
  readonly identity: Identity;
  readonly clock: Clock;
}

export async function attachChannel(options: AttachOptions): Promise<Channel> {
  const { connection, session, partner, identity, clock } = options;
  const { exporter } = connection.dialled;
  if (partner.binding === 'exporter' && !exporter)
    throw new AllianceError('unreachable', { details: 'This partnership needs TLS, and the endpoint has none.' });
  const context = {
    sid: Buffer.from(session.sid, 'base64url'),
    initiator: { cloudId: identity.cloudId, fingerprint: session.ownFingerprint },
    responder: { cloudId: partner.cloudId, fingerprint: session.partnerFingerprint },
    binding: partner.binding === 'exporter' && exporter ? exporter : noBinding,
  };
  await connection.attach(session.secret, context, { timeoutMs: clientLimits.handshakeTimeoutMs });
  return {
    connection,
    session,
    openedAt: clock.now(),
    endsAt: Math.min(session.validTill, partner.trustTill ?? Number.POSITIVE_INFINITY),
    retiring: false,
  };
}

/** Whether the successor is due: three quarters of its life or of its use are behind it. */
export function isDue(channel: Channel, now: number): boolean {
  const { openedAt, endsAt, connection } = channel;
  const share = Math.max((now - openedAt) / (endsAt - openedAt), connection.usedShare);
  return share >= channelLimits.renewAtShare;
}
