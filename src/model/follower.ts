/** How far the revocations of each partner were read, as other processes may see it. */
import type { PartnerUid } from '../core/ids.ts';

export interface Follower {
  readonly partnerUid: PartnerUid;
  /** Sequence of the last one that was read, in the partner's count. */
  readonly cursor: number;
  /** Of the newest one that the partner told of. */
  readonly head: number;
  /** When the head was last confirmed to be the newest; null: never. */
  readonly confirmedAt: number | null;
  /** Name of the error that keeps us from reading on. */
  readonly lastError: string | null;
  readonly updatedAt: number;
}

export interface Followers {
  list(): Promise<Follower[]>;
  get(partnerUid: PartnerUid): Promise<Follower | null>;
  /** All in one transaction. Those of partners that are gone are left out. */
  save(followers: readonly Follower[]): Promise<void>;
}
