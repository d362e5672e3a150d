/** What handlers and interceptors work with. */
import type { ChannelKeys } from '../channel/attach.ts';
import type { PinnedKey } from '../channel/handshake.ts';
import type { Call, Eventually } from '../channel/interceptor.ts';
import type { answerOpen, Card, OpenFields, PartnerRole } from '../channel/pairing.ts';
import type { TrustView } from '../client/trustView.ts';
import type { Clock } from '../core/clock.ts';
import type { Config } from '../core/config.ts';
import type { PartnerUid } from '../core/ids.ts';
import type { connectionLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { RefusalLog } from '../core/refusalLog.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import type { AuditHead } from '../model/audit.ts';
import type { Partner } from '../model/partner.ts';
import type { StoredSession } from '../model/session.ts';
import type { Store } from '../model/store.ts';
import type { Hints } from '../token/hints.ts';
import type { PartnerNotices } from '../token/notices.ts';
import type { OwnTokenKeys } from '../token/ownKeys.ts';
import type { Followers } from '../token/revocation/follower.ts';
import type { RevocationSource } from '../token/revocation/source.ts';
import type { SoftTokens } from '../token/softTokens.ts';
import type { Contract, MethodName } from '../wire/methods.ts';
import type { ImageService } from './images/images.ts';
import type { ServerRates } from './rates.ts';
import type { Shares } from './shares.ts';

/** Time-outs and shares of connections, as in `connectionLimits`. */
export type ConnectionLimits = { readonly [Name in keyof typeof connectionLimits]: number };

export interface ServerContext {
  readonly store: Store;
  readonly view: TrustView;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** As it is now; a reload replaces it. */
  readonly config: () => Config;
  readonly limits: ConnectionLimits;
  /** This cloud's Keystone, as far as this partner may use it; undefined where none is configured. Handlers ask nothing else. */
  readonly keystone: (partner: Partner) => Keystone | undefined;
  /** This cloud's images, as far as partners may see or make them. */
  readonly images: ImageService;
  readonly softTokens: SoftTokens;
  /** What this cloud's Keystone signs JWS tokens with. */
  readonly ownTokenKeys: OwnTokenKeys;
  /** Of this cloud's tokens. */
  readonly revocations: Pick<RevocationSource, 'head' | 'read' | 'append'>;
  /** What partners may have running of getRevocations. */
  readonly readers: Shares;
  /** Of partners' tokens. */
  readonly followers: Pick<Followers, 'wake'>;
  readonly hints: Hints;
  readonly notices: PartnerNotices;
  readonly rates: ServerRates;
  readonly refusals: RefusalLog;
  /** Runs signatures on the thread pool; refuses with `overloaded` when too many wait. */
  readonly sign: <T>(work: () => Promise<T>) => Promise<T>;
  /** How far our audit has come, verified up to there; throws `overloaded` while it is not whole. */
  readonly auditHead: () => Promise<AuditHead & { readonly at: number }>;
  /** Our card for pairing. */
  readonly card: (role: PartnerRole) => Card;
  /** Role that an invitation of this id seems to have when there is none: always the same, so that asking twice tells nothing. */
  readonly decoyRole: (invitationId: Buffer) => PartnerRole;
}

/** The channel that a connection has become. */
export interface InboundChannel {
  readonly partner: Partner;
  readonly session: StoredSession;
  /** The partner's key that the session was agreed with. */
  readonly key: PinnedKey;
  readonly endsAt: number;
}

/** What handlers may see and do of the connection that a call came by. */
export interface Peer {
  readonly remoteAddress: string;
  /** What limits count the address by. */
  readonly addressKey: string;
  readonly loopback: boolean;
  readonly tls: boolean;
  /** TLS exporter value; null on plain TCP. */
  readonly exporter: Buffer | null;
  /** First half of a pairing, waiting for the second. */
  pairing: { readonly open: OpenFields; readonly answer: ReturnType<typeof answerOpen> } | undefined;
  /** Confirmed channels that the partner has now, over all connections. */
  channelsOf(uid: PartnerUid): number;
  /** Makes the connection a channel as soon as the reply has left. */
  becomeChannel(channel: InboundChannel, keys: ChannelKeys): void;
  /** The call was too much: reads no further for about so long. Strangers of whom that is true too often are cut off. */
  holdOff(retryAfterMs: number): void;
  /** Ends the connection as soon as the reply has left. */
  endAfterReply(): void;
}

export interface InboundCall extends Call {
  readonly direction: 'in';
  readonly peer: Peer;
  /** The partner as it is now; undefined before `attach`. */
  readonly partner: Partner | undefined;
  readonly channel: InboundChannel | undefined;
  /** `done` is called once: when the answer has left, or there is nobody any more to send it to. */
  afterAnswer(done: () => void): void;
}

/** One RPC: decode, ask, encode. Errors are thrown. */
export type Handler<M extends MethodName> = (
  context: ServerContext,
  argument: Contract[M]['args'],
  call: InboundCall,
) => Eventually<Contract[M]['result']>;

/** A call over a partner's channel. */
export type PartnerCall = InboundCall & { readonly partner: Partner; readonly channel: InboundChannel };

/** A handler of a method that only a partner's channel reaches. */
export type PartnerHandler<M extends MethodName> = (
  context: ServerContext,
  argument: Contract[M]['args'],
  call: PartnerCall,
) => Eventually<Contract[M]['result']>;
