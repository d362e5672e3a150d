/** Images that partners made here: whose each is, and what of their quota it takes. The images themselves are Glance's. */
import type { CloudId, PartnerUid } from '../core/ids.ts';
import type { Partner } from './partner.ts';

/** `open`: its content has still to come, and it is removed when that does not happen for long. */
export type PartnerImageState = 'open' | 'stored';

export interface PartnerImage {
  readonly region: string;
  /** Glance's id, which the partner chose. */
  readonly imageId: string;
  readonly partnerUid: PartnerUid;
  readonly cloudId: CloudId;
  /** What of the quota it takes: its size as soon as that is known. */
  readonly sizeBytes: number;
  readonly state: PartnerImageState;
  readonly createdAt: number;
  /** When its partner last did something about it. */
  readonly updatedAt: number;
}

/** What one partner may have. */
export interface ImageQuota {
  readonly images: number;
  readonly bytes: number;
}

export type PartnerImageKey = Pick<PartnerImage, 'region' | 'imageId'>;
type Owner = Pick<Partner, 'uid' | 'cloudId'>;

/** Why a row was forgotten, for the audit. */
export type ForgetReason = 'deleted' | 'refused' | 'left_behind' | 'gone';

export interface NotedImage extends Pick<PartnerImage, 'updatedAt'> {
  readonly fresh: boolean;
}

/** Each change is one transaction with its record in the audit. */
export interface PartnerImages {
  find(key: PartnerImageKey): Promise<PartnerImage | null>;
  /** In the order in which they were made. */
  list(query?: { readonly partnerUid?: PartnerUid; readonly region?: string }): Promise<PartnerImage[]>;
  /**
   * Notes an image before it is made, or that its partner is at it again. `fresh`: it was not known before.
   *
   * @throws AllianceError image_quota where there is no room for one more, image_conflict where the id is another partner's
   */
  add(owner: Owner, key: PartnerImageKey, quota: ImageQuota): Promise<NotedImage>;
  /**
   * Sets apart what its content will take, before any of it is taken; no less than before while an upload may be under way.
   *
   * @throws AllianceError image_quota; image_not_found where there is no such row, image_conflict where it has its content
   */
  reserve(key: PartnerImageKey, sizeBytes: number, quota: ImageQuota): Promise<void>;
  /** Its content is there, and of this size if one is given. False where nothing is noted. */
  stored(key: PartnerImageKey, sizeBytes?: number): Promise<boolean>;
  /** Its partner is at it. */
  touch(key: PartnerImageKey): Promise<void>;
  /** There is no such image any more. `updatedAt`: only if nobody was at it since. False when nothing was forgotten. */
  forget(key: PartnerImageKey, reason: ForgetReason, updatedAt?: number): Promise<boolean>;
}
