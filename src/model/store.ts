/** Everything that outlives the process, as one object. Times are UTC epoch milliseconds. */
import type { CloudId } from '../core/ids.ts';
import type { Feed } from './feed.ts';
import type { Identities } from './identityRecord.ts';
import type { Invitations } from './invitation.ts';
import type { Partners } from './partner.ts';
import type { Sessions } from './session.ts';

export interface Replays {
  /** False when this ticket was seen before. */
  insert(issuer: CloudId, jti: Buffer, keepTill: number): Promise<boolean>;
  /** Returns how many were forgotten. */
  prune(now: number): Promise<number>;
}

export interface Leases {
  /** True when `holder` now has it, for ttlMs from now; a holder renews by acquiring again. */
  acquire(name: string, holder: string, ttlMs: number): Promise<boolean>;
  release(name: string, holder: string): Promise<void>;
}

export interface Settings {
  get(key: string): Promise<string | null>;
  /** null deletes it. */
  set(key: string, value: string | null): Promise<void>;
}

export interface Store {
  readonly partners: Partners;
  readonly invitations: Invitations;
  readonly sessions: Sessions;
  readonly replays: Replays;
  readonly leases: Leases;
  readonly feed: Feed;
  readonly identities: Identities;
  readonly settings: Settings;
  /** Grows with every change of partners, their keys, our identity, and with every revocation of sessions. */
  trustEpoch(): Promise<number>;
  /** A cheap read; throws what openStore throws when the database is gone. */
  ping(): Promise<void>;
  /** Housekeeping: what has ended by time is written down, wiped or forgotten. */
  prune(now: number): Promise<void>;
  /** A consistent copy of the database while it runs, mode 0600; replaces `file`. */
  backup(file: string): Promise<void>;
  close(): Promise<void>;
}
