/**
 * What this process knows of partners and of our own identities, in memory and never older than the last look at the trust epoch.
 *
 * Every replica looks every 500 ms. With no database for 5 s, or another one in its place, nothing is known any more: `lost` is set, and
 * whoever holds channels closes them.
 */

import type { PinnedKey } from '../channel/handshake.ts';
import type { Clock } from '../core/clock.ts';
import { toAllianceError } from '../core/errors.ts';
import type { CloudId, PartnerUid } from '../core/ids.ts';
import { trustLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import { readCertificate } from '../crypto/certificate.ts';
import type { Identity } from '../crypto/identity.ts';
import { type Partner, usableKeys } from '../model/partner.ts';
import type { Store } from '../model/store.ts';
import type { StoredTokenKey } from '../model/tokenKey.ts';
import { effectiveState, type TrustState } from '../model/trust.ts';

export interface OwnIdentity {
  readonly identity: Identity;
  readonly sequence: number;
  /** End of use of a former identity; null for the current one. */
  readonly overlapTill: number | null;
}

export interface TrustViewOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Our usable identities, the current one first. */
  readonly loadIdentities: () => Promise<readonly OwnIdentity[]>;
}

type Listener = (epochChanged: boolean) => void;

export class TrustView {
  readonly #options: TrustViewOptions;
  readonly #listeners = new Set<Listener>();
  readonly #pins = new Map<string, PinnedKey>();
  #byUid = new Map<PartnerUid, Partner>();
  #byCloudId = new Map<string, Partner>();
  #identities: readonly OwnIdentity[] = [];
  #tokenKeys: readonly StoredTokenKey[] = [];
  #epoch = -1;
  /** When our identities were last read, and when that last failed. */
  #identitiesEpoch = -1;
  #failedEpoch = -1;
  /** Monotonic, so that a step of the clock costs nobody a channel. */
  #lastSeenAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #looking: Promise<void> | undefined;

  constructor(options: TrustViewOptions) {
    this.#options = options;
  }

  /** Loads, and goes on looking until `stop`; that alone keeps no process alive. */
  async start(): Promise<void> {
    await this.#look();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  /** Looks now; for whoever has just changed something. */
  async refresh(): Promise<void> {
    await this.#looking;
    await this.#look();
  }

  /** Called after every look, so that what ends by time is noticed too. */
  onLook(listener: Listener): void {
    this.#listeners.add(listener);
  }

  /** True when the database has not answered for too long to trust anything, or is another one. */
  get lost(): boolean {
    return this.#monotonic() - this.#lastSeenAt > trustLimits.databaseLossMs;
  }

  /** Another number as soon as anything has changed that trust depends on; -1 before the first look. */
  get epoch(): number {
    return this.#epoch;
  }

  get partners(): Iterable<Partner> {
    return this.#byUid.values();
  }

  partnerByUid(uid: PartnerUid): Partner | undefined {
    return this.#byUid.get(uid);
  }

  partnerByCloudId(cloudId: string): Partner | undefined {
    return this.#byCloudId.get(cloudId);
  }

  stateOf(partner: Partner): TrustState {
    return effectiveState(partner, this.#options.clock.now());
  }

  get cloudId(): CloudId {
    return this.current.identity.cloudId;
  }

  get current(): OwnIdentity {
    return this.#identities[0]!;
  }

  /** Current first, then the former one while its overlap runs. */
  get identities(): readonly OwnIdentity[] {
    const now = this.#options.clock.now();
    return this.#identities.filter((own) => own.overlapTill === null || now < own.overlapTill);
  }

  /** The newest of our identities that the partner acknowledged and that still counts; with undefined it has to pair again. */
  knownTo(partner: Partner): OwnIdentity | undefined {
    return this.identities.find((own) => own.sequence <= partner.acknowledgedSequence);
  }

  /** The identity that the partner pins: the current one as soon as it acknowledged it. */
  identityFor(partner: Partner): Identity {
    return (this.knownTo(partner) ?? this.current).identity;
  }

  /** Keys of partners' JWS tokens; another list as soon as anything has changed. */
  get tokenKeys(): readonly StoredTokenKey[] {
    return this.#tokenKeys;
  }

  /** Whether tokens of this partner are asked about: it is trusted now, and a provider. */
  isProvider(uid: PartnerUid): boolean {
    const partner = this.#byUid.get(uid);
    return partner !== undefined && partner.role !== 'consumer' && this.stateOf(partner) === 'active';
  }

  /** The keys with which a partner may prove itself now. */
  pinsOf(partner: Partner): PinnedKey[] {
    return usableKeys(partner, this.#options.clock.now()).map((key) => {
      const id = key.fingerprint.toString('hex');
      const known = this.#pins.get(id);
      if (known) return known;
      const { certificate } = readCertificate(key.certificateDer);
      const pin = { fingerprint: key.fingerprint, algorithm: key.algorithm, publicKey: certificate.publicKey };
      this.#pins.set(id, pin);
      return pin;
    });
  }

  #monotonic(): number {
    return this.#options.clock.monotonic?.() ?? performance.now();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#look()
        .catch((error: unknown) => this.#options.log.warn({ err: error }, 'Trust cannot be read from the database.'))
        .finally(() => this.#schedule());
    }, trustLimits.epochPollMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    this.#looking = this.#load();
    try {
      await this.#looking;
    } finally {
      this.#looking = undefined;
    }
  }

  async #load(): Promise<void> {
    const { store } = this.#options;
    let changed = false;
    try {
      // The epoch is read first: a change between the two reads is then seen again at the next look, never missed.
      const epoch = await store.trustEpoch();
      changed = epoch !== this.#epoch;
      const [partners, tokenKeys] = changed
        ? await Promise.all([store.partners.list(), store.tokenKeys.list()])
        : [[], []];
      if (epoch !== this.#identitiesEpoch) this.#identities = await this.#readIdentities(epoch);
      if (changed) {
        this.#byUid = new Map(partners.map((partner) => [partner.uid, partner]));
        this.#byCloudId = new Map(partners.map((partner) => [partner.cloudId, partner]));
        this.#tokenKeys = tokenKeys;
        this.#pins.clear();
        this.#epoch = epoch;
      }
      this.#lastSeenAt = this.#monotonic();
    } catch (error) {
      // The connection goes on to answer, with what nobody else knows any more.
      if (toAllianceError(error).errorName === 'database_replaced') this.#lastSeenAt = Number.NEGATIVE_INFINITY;
      throw error;
    } finally {
      for (const listener of this.#listeners) listener(changed);
    }
  }

  /**
   * Those in use stay where the new ones cannot be read, as when the file of a key belongs to somebody else: told once, and tried again
   * at every look.
   */
  async #readIdentities(epoch: number): Promise<readonly OwnIdentity[]> {
    const { loadIdentities, log } = this.#options;
    try {
      const identities = await loadIdentities();
      this.#identitiesEpoch = epoch;
      return identities;
    } catch (error) {
      if (this.#epoch < 0 || toAllianceError(error).errorName !== 'configuration') throw error;
      if (this.#failedEpoch !== epoch) log.error({ err: error }, 'Our identity cannot be read: the former one stays.');
      this.#failedEpoch = epoch;
      return this.#identities;
    }
  }
}
