/** Sessions as stored: keys agreed by a handshake, sealed at rest. */
import type { PartnerUid, SessionId } from '../core/ids.ts';
import type { HandshakeFacts } from './auditActs.ts';

/** Our part: the initiator calls, the responder serves. */
export type Direction = 'initiator' | 'responder';

export interface StoredSession {
  readonly sid: SessionId;
  readonly partnerUid: PartnerUid;
  readonly direction: Direction;
  readonly ownFingerprint: Buffer;
  readonly partnerFingerprint: Buffer;
  /** 32 bytes. */
  readonly secret: Buffer;
  /** 32 bytes, proves the next handshake to be of the same two parties; null once it had to make room for others. */
  readonly continuity: Buffer | null;
  readonly createdAt: number;
  readonly validTill: number;
  /** When a channel of it was first confirmed. */
  readonly confirmedAt: number | null;
  readonly continuityTill: number;
}

/** A session without its keys. */
export interface SessionFacts extends Omit<StoredSession, 'secret' | 'continuity'> {
  readonly hasSecret: boolean;
  readonly hasContinuity: boolean;
}

export interface Continuity {
  readonly sid: SessionId;
  readonly key: Buffer;
}

export interface Sessions {
  /**
   * Stores a session and keeps within the limits of its partner and direction. Throws partner_not_active (revoked or removed meanwhile),
   * ticket_refused (key retired meanwhile) and session_invalid (sid exists). With `usesGrant` it takes the operator's permission for one
   * new start with it, and throws continuity_required when there is none. `attempt` and `requestId` are for its record in the audit.
   */
  insert(session: StoredSession, handshake?: HandshakeFacts & { readonly usesGrant?: boolean }): Promise<void>;
  findLive(sid: SessionId, direction: Direction, now: number): Promise<StoredSession | null>;
  /** The live one that was agreed last. */
  newest(partnerUid: PartnerUid, direction: Direction, now: number): Promise<StoredSession | null>;
  /** Of that sid, or, with null, the one to use for the next optimistic attempt. */
  findContinuity(
    partnerUid: PartnerUid,
    direction: Direction,
    sid: SessionId | null,
    now: number,
  ): Promise<Continuity | null>;
  /** Whether any session with it, or the continuity of one, is still good. */
  isKnown(partnerUid: PartnerUid, direction: Direction, now: number): Promise<boolean>;
  /** First confirmation only; later ones change nothing. */
  confirm(sid: SessionId, at: number, direction?: Direction): Promise<void>;
  list(partnerUid?: PartnerUid): Promise<SessionFacts[]>;
  /** Ends it, continuity included. False when there is none. */
  close(sid: SessionId, direction?: Direction): Promise<boolean>;
  /** Number of sessions ended. */
  deleteForPartner(partnerUid: PartnerUid): Promise<number>;
  /** Those agreed with this key, ours or the partner's. */
  deleteForKey(fingerprint: Buffer): Promise<number>;
}
