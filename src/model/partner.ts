/** A partner as stored: who it is, how far it is trusted, which keys it is pinned to. */
import type { CloudId, PartnerUid } from '../core/ids.ts';
import type { SignatureAlgorithm } from '../crypto/jws.ts';
import type { Role, Side, TrustEvent, TrustState } from './trust.ts';

export interface NewPartnerKey {
  /** SHA-256 of the SPKI DER, 32 bytes. */
  readonly fingerprint: Buffer;
  readonly algorithm: SignatureAlgorithm;
  readonly certificateDer: Buffer;
  /** Validity of the certificate, ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface PartnerKey extends NewPartnerKey {
  /** `next` came by a rotation and was not used yet; `retired` is dead. */
  readonly state: 'current' | 'next' | 'retired';
  /** End of the overlap of a rotation, for the older key; null where no rotation runs. */
  readonly overlapTill: number | null;
}

export interface PartnerError {
  readonly at: number;
  readonly code: number;
  readonly name: string;
  readonly message: string;
}

export interface Partner {
  readonly uid: PartnerUid;
  readonly cloudId: CloudId;
  /** Display name; shares one namespace with the cloud_ids of all partners. */
  readonly name: string;
  readonly role: Role;
  /** As stored; `effectiveState` says what counts now. */
  readonly state: TrustState;
  /** Whose approval a pending partner waits for. */
  readonly approval: Side | null;
  readonly trustSince: number;
  readonly trustTill: number | null;
  /** In order of preference, `tls://host:port` or `tcp://host:port`. */
  readonly endpoints: readonly string[];
  /** Current first, then next, then retired ones. */
  readonly keys: readonly PartnerKey[];
  readonly binding: 'none' | 'exporter';
  /** Verification code, while pending only. */
  readonly code: string | null;
  /** Sequence of the partner's last rotation that was stored. */
  readonly rotationSequence: number;
  /** Sequence of the partner's last trust bundle that was read. */
  readonly bundleSequence: number;
  /** Sequence of the newest of OUR identities that the partner acknowledged. */
  readonly acknowledgedSequence: number;
  readonly revokedBy: Side | null;
  /** Removed here; kept only until the partner was told, and no longer trusted for anything. */
  readonly removed: boolean;
  /** What the partner has not been told yet. */
  readonly noticePending: 'revoked' | 'removed' | null;
  /** Until when one new start without continuity is allowed, where configuration requires continuity. */
  readonly continuityGrantedTill: number | null;
  readonly lastContact: number | null;
  readonly lastError: PartnerError | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface NewPartner {
  readonly cloudId: CloudId;
  /** Display name; null = the cloud_id. */
  readonly name?: string | null;
  readonly role: Role;
  readonly state: 'pending' | 'active';
  readonly approval?: Side | null;
  readonly trustTill?: number | null;
  readonly endpoints: readonly string[];
  readonly key: NewPartnerKey;
  readonly binding: 'none' | 'exporter';
  readonly code?: string | null;
  readonly acknowledgedSequence?: number;
  /** An operator's explicit wish to let a removed cloud_id come back with another key. */
  readonly replaceIdentity?: boolean;
}

/** What an operator or a signed statement may change without a change of state. */
export interface PartnerChanges {
  readonly name?: string;
  readonly role?: Role;
  readonly endpoints?: readonly string[];
  readonly trustTill?: number | null;
  readonly bundleSequence?: number;
  readonly acknowledgedSequence?: number;
  readonly noticePending?: 'revoked' | 'removed' | null;
  readonly continuityGrantedTill?: number | null;
}

export interface ApplyOptions {
  /** Who acts; default us. */
  readonly by?: Side;
  /** With `renew` (absent = without end) and `approve` (absent = unchanged). */
  readonly trustTill?: number | null;
  /** With `revoke` by us: false when the partner need not be told. */
  readonly notify?: boolean;
}

export interface KeyRotation {
  readonly sequence: number;
  /** The key that signed for the new one; it must still be the current one when the rotation is stored. */
  readonly oldFingerprint: Buffer;
  readonly key: NewPartnerKey;
  /** Until when the older key still counts, unless the new one is used before. */
  readonly overlapTill: number;
}

export interface Partners {
  /** Throws identity_known when cloud_id, name or key is ours, or is or was another's. */
  add(partner: NewPartner): Promise<Partner>;
  /** By uid, removed ones too; throws partner_not_found. */
  get(uid: PartnerUid): Promise<Partner>;
  /** By cloud_id or name; throws partner_not_found. */
  resolve(nameOrCloudId: string): Promise<Partner>;
  findByCloudId(cloudId: string): Promise<Partner | null>;
  /** The partner to whom this key belongs or belonged; look at the key's state. */
  findByFingerprint(fingerprint: Buffer): Promise<Partner | null>;
  /** By name; removed ones only with `removed: true`, and then only those. */
  list(options?: { removed?: boolean }): Promise<Partner[]>;
  /** One step of the trust state; throws illegal_transition. */
  apply(uid: PartnerUid, event: TrustEvent, options?: ApplyOptions): Promise<Partner>;
  update(uid: PartnerUid, changes: PartnerChanges): Promise<Partner>;
  /** Stores the next key. Throws rotation_old_sequence, rotation_overlap, rotation_refused. */
  rotateKeys(uid: PartnerUid, rotation: KeyRotation): Promise<Partner>;
  /** To be called with the key that a peer just proved: the first use of the next key makes it current and retires the old one. True when it did. */
  retireOldKey(uid: PartnerUid, usedFingerprint: Buffer): Promise<boolean>;
  /** Last contact; no change of trust. */
  touch(uid: PartnerUid, at: number): Promise<void>;
  recordError(uid: PartnerUid, error: PartnerError): Promise<void>;
  /** Ends all trust; cloud_id and keys stay bound to each other. `notify: false` when the partner need not be told. */
  remove(uid: PartnerUid, options?: { notify?: boolean }): Promise<void>;
}

/** The keys with which a partner may prove itself at `now`: at most two, during a rotation. */
export function usableKeys(partner: Partner, now: number): PartnerKey[] {
  return partner.keys.filter(
    (key) => key.state !== 'retired' && (key.overlapTill === null || now < key.overlapTill) && now < key.notAfter,
  );
}
