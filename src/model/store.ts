/** Everything that outlives the process, as one object. Times are UTC epoch milliseconds. */
import { type Clock, systemClock } from '../core/clock.ts';
import { storeLimits } from '../core/limits.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Audit } from './audit.ts';
import { createAudit } from './audits.ts';
import { readCounter } from './counters.ts';
import { openDatabase } from './database.ts';
import { watchFile } from './databaseFile.ts';
import type { Executions } from './execution.ts';
import type { ExecutionLog } from './executionLog.ts';
import { createExecutionLog } from './executionLogs.ts';
import { createExecutions } from './executions.ts';
import type { Feed } from './feed.ts';
import { createFeed } from './feeds.ts';
import type { Followers } from './follower.ts';
import { createFollowers } from './followers.ts';
import { pruneStore } from './housekeeping.ts';
import type { Identities } from './identityRecord.ts';
import { createIdentities } from './identityRecords.ts';
import type { Invitations } from './invitation.ts';
import { createInvitations } from './invitations.ts';
import { createLeases, type Leases } from './lease.ts';
import type { Mappings } from './mapping.ts';
import { createMappings } from './mappings.ts';
import type { OwnTokens } from './ownToken.ts';
import { createOwnTokens } from './ownTokens.ts';
import type { Partners } from './partner.ts';
import type { PartnerImages } from './partnerImage.ts';
import { createPartnerImages } from './partnerImages.ts';
import { createPartners } from './partners.ts';
import { createPolicies } from './policies.ts';
import type { Policies } from './policy.ts';
import type { Provisions } from './provision.ts';
import { createProvisions } from './provisions.ts';
import { createReplays, type Replays } from './replay.ts';
import { checkSeal, startAnew } from './seal.ts';
import type { Sessions } from './session.ts';
import { createSessions } from './sessions.ts';
import { createSettings, type Settings } from './settings.ts';
import type { TokenKeys } from './tokenKey.ts';
import { createTokenKeys } from './tokenKeys.ts';
import type { Transfers } from './transfer.ts';
import { createTransfers } from './transfers.ts';

export interface StoreOptions {
  /** `sqlite:PATH`; the directory must exist. */
  readonly url: string;
  readonly keyring: Keyring;
  readonly clock?: Clock;
  /** How long a statement waits for the lock of another process. */
  readonly busyTimeoutMs?: number;
  /**
   * The database was just restored from a backup: what was secret and short-lived then (sessions, invitations) is dropped, so that
   * nothing that ended since comes back and the keyring may be a new one; readers of the feed are told to resynchronise.
   */
  readonly restored?: boolean;
}

export interface Store {
  readonly partners: Partners;
  readonly invitations: Invitations;
  readonly sessions: Sessions;
  readonly replays: Replays;
  readonly leases: Leases;
  readonly feed: Feed;
  readonly identities: Identities;
  readonly audit: Audit;
  readonly mappings: Mappings;
  readonly provisions: Provisions;
  readonly partnerImages: PartnerImages;
  readonly tokenKeys: TokenKeys;
  readonly followers: Followers;
  readonly ownTokens: OwnTokens;
  readonly executions: Executions;
  readonly executionLog: ExecutionLog;
  readonly policies: Policies;
  readonly transfers: Transfers;
  readonly settings: Settings;
  /** Grows with every change of partners, their keys, our identity, and with every revocation of sessions. Throws database_replaced. */
  trustEpoch(): Promise<number>;
  /** A cheap read; throws what openStore throws when the database is gone, and database_replaced. */
  ping(): Promise<void>;
  /** Housekeeping: what has ended by time is written down, wiped or forgotten. */
  prune(now: number): Promise<void>;
  /** A consistent copy of the database while it runs, mode 0600; replaces `file`. */
  backup(file: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens or creates the database and brings its schema up to date. Throws database_corrupt, database_read_only, database_locked,
 * database_newer, configuration (not sqlite:PATH, or another program's file), and seal_broken when the keyring is another one's.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { url, keyring, clock = systemClock, busyTimeoutMs = storeLimits.busyTimeoutMs, restored = false } = options;
  const db = await openDatabase(url, { now: clock.now(), busyTimeoutMs });
  const checkFile = watchFile(url.replace(/^sqlite:/, ''));
  const trustEpoch = async () => {
    checkFile();
    return readCounter(db.reader, 'trust_epoch');
  };
  try {
    if (restored) await startAnew(db, keyring, clock.now());
    await checkSeal(db, keyring);
  } catch (error) {
    await db.close();
    throw error;
  }

  const feed = createFeed(db, clock);
  const replays = createReplays(db.light);
  const audit = createAudit(db, clock, keyring);
  const provisions = createProvisions(db, clock);
  const executions = createExecutions(db.light, clock);
  const executionLog = createExecutionLog(db.light);
  return {
    partners: createPartners(db, clock),
    invitations: createInvitations(db, keyring, clock),
    sessions: createSessions(db.light, keyring, clock),
    leases: createLeases(db.light, clock),
    identities: createIdentities(db, clock),
    mappings: createMappings(db, clock),
    provisions,
    partnerImages: createPartnerImages(db, clock),
    tokenKeys: createTokenKeys(db, clock),
    followers: createFollowers(db),
    ownTokens: createOwnTokens(db, keyring),
    executions,
    executionLog,
    policies: createPolicies(db),
    transfers: createTransfers(db, clock),
    settings: createSettings(db.light),
    audit,
    feed,
    replays,
    trustEpoch,
    ping: async () => {
      await trustEpoch();
    },
    prune: async (now) => {
      await audit.settle(now);
      await pruneStore(db, { feed, replays, provisions, executions, executionLog }, now);
    },
    backup: (file) => db.backup(file),
    close: async () => {
      feed.close();
      await audit.close();
      await db.close();
    },
  };
}
