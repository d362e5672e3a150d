/** Keys that partners' Keystones sign JWS tokens with, as stored: by partner, never merged. */
import type { PartnerUid } from '../core/ids.ts';
import type { TokenAlgorithm } from '../crypto/tokenKey.ts';

/**
 * `active`: says whose a token is. `disputed`: known of another cloud, too, and used for nothing until the operator decides.
 * `chosen`: the operator decided for this partner. `refused`: the operator decided for another one.
 */
export type TokenKeyState = 'active' | 'disputed' | 'chosen' | 'refused';

export interface PublishedTokenKey {
  readonly algorithm: TokenAlgorithm;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** SHA-256 of that, 32 bytes. */
  readonly thumbprint: Buffer;
}

export interface StoredTokenKey extends PublishedTokenKey {
  readonly partnerUid: PartnerUid;
  readonly state: TokenKeyState;
  readonly createdAt: number;
}

export interface TokenKeys {
  /** Of all partners that were not removed. */
  list(): Promise<StoredTokenKey[]>;
  /**
   * What a partner publishes now; `isOwn` tells keys of this cloud's tokens. Returns those of its keys that were taken for
   * another cloud's and therefore not taken, this time for the first time.
   */
  publish(
    partnerUid: PartnerUid,
    keys: readonly PublishedTokenKey[],
    isOwn: (key: PublishedTokenKey) => boolean,
  ): Promise<PublishedTokenKey[]>;
  /** The operator's decision: the key is this partner's and nobody else's. Throws bad_request where it publishes no such key. */
  choose(partnerUid: PartnerUid, thumbprint: Buffer): Promise<void>;
}
