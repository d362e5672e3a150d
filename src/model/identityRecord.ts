/** Our own certificates, present and past. Private keys are not here: they live in files of the home directory. */
import type { CloudId } from '../core/ids.ts';
import type { NewPartnerKey } from './partner.ts';

export interface IdentityRecord extends NewPartnerKey {
  readonly cloudId: CloudId;
  /** `overlap` is the former key, still good until overlapTill. */
  readonly state: 'current' | 'overlap' | 'retired';
  /** 1 for the first, +1 with each rotation. */
  readonly sequence: number;
  readonly overlapTill: number | null;
  readonly createdAt: number;
}

export interface Identities {
  current(): Promise<IdentityRecord | null>;
  /** Newest first. */
  list(): Promise<IdentityRecord[]>;
  /** The first one; throws already_initialised when there is one. */
  init(identity: NewPartnerKey & { cloudId: CloudId }): Promise<IdentityRecord>;
  /**
   * A new current one. With overlapTill null (compromise) every former key is retired at once and all sessions end; otherwise throws
   * rotation_overlap while an earlier overlap runs. identity_known when the key is a partner's or was ours.
   */
  rotate(identity: NewPartnerKey, options: { overlapTill: number | null }): Promise<IdentityRecord>;
  /** Ends an overlap early. */
  retire(fingerprint: Buffer): Promise<void>;
}
