/** The mapping of a partner's users, as stored. What it means is no matter of storage. */
import type { PartnerUid } from '../core/ids.ts';

export interface StoredMapping {
  readonly partnerUid: PartnerUid;
  /** JSON text, as the operator gave it. */
  readonly rules: string;
  readonly updatedAt: number;
}

export interface Mappings {
  /** Null: nobody of that partner has access. */
  get(partnerUid: PartnerUid): Promise<StoredMapping | null>;
  /** Replaces the mapping of the partner; null takes it away. */
  set(partnerUid: PartnerUid, rules: string | null): Promise<void>;
  list(): Promise<StoredMapping[]>;
}
