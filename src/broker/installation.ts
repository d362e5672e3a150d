/** A home directory, opened: what every process of a broker, server or command, works with. */
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Card, PartnerRole } from '../channel/pairing.ts';
import { ClientPool } from '../client/pool.ts';
import { type OwnIdentity, TrustView } from '../client/trustView.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { type Config, loadConfig } from '../core/config.ts';
import { AllianceError } from '../core/errors.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { silentTelemetry, type Telemetry } from '../core/telemetry.ts';
import { loadKeyring } from '../crypto/keyring.ts';
import type { IdentityRecord } from '../model/identityRecord.ts';
import { openStore, type Store } from '../model/store.ts';
import { OwnTokenKeys } from '../token/ownKeys.ts';
import type { AuditWatch } from './auditTask.ts';
import { assertConfiguredIdentity, loadOwnIdentity, usableRecords } from './files.ts';

export interface OpenOptions {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  /** Default: stderr, at the configured level. */
  readonly log?: Logger;
  readonly telemetry?: Telemetry;
  /** For commands about our identity: also where the configured certificate is another one, or private keys are not there. */
  readonly anyIdentity?: boolean;
}

export interface Installation {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** As last loaded; a reload of the server replaces it. */
  config: Config;
  readonly store: Store;
  readonly view: TrustView;
  readonly pool: ClientPool;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** What this cloud's Keystone signs JWS tokens with. */
  readonly ownTokenKeys: OwnTokenKeys;
  readonly auditWatch: AuditWatch;
  /** Our card for a pairing in which the partner will have this role. */
  card(role: PartnerRole): Card;
  /** Endpoints that partners are told. */
  readonly endpoints: readonly string[];
  close(): Promise<void>;
}

/** Errors: `not_initialised`, `configuration`, those of the database, `seal_broken`. */
export async function openInstallation(options: OpenOptions): Promise<Installation> {
  const { home, env, clock = systemClock, telemetry = silentTelemetry, anyIdentity = false } = options;
  const config = loadConfig({ home, env });
  const log = options.log ?? createLogger({ level: config.log.level });
  const keyring = loadKeyring(config.database.kekFile);
  const store = await openStore({ url: config.database.url, keyring, clock });
  try {
    const records = await store.identities.list();
    if (records.length === 0) throw emptyDatabase(config);
    if (!anyIdentity) assertConfiguredIdentity(config, records);
    const loadIdentities = async () =>
      loadOwn(config, await store.identities.list(), { now: clock.now(), anyIdentity });
    const view = new TrustView({ store, clock, log, loadIdentities });
    await view.start();
    const pool = new ClientPool({ store, view, clock, log, telemetry, allow: config.dial.allow });
    const endpoints = config.advertise;
    const installation: Installation = {
      home: config.home,
      env,
      config,
      store,
      view,
      pool,
      clock,
      log,
      telemetry,
      endpoints,
      auditWatch: {},
      ownTokenKeys: new OwnTokenKeys({ directory: () => installation.config.tokens.jwsKeys, clock, log }),
      card: (role) => {
        const { cloudId, certificateDer: certificate } = view.current.identity;
        const tlsOnly = endpoints.every((endpoint) => endpoint.startsWith('tls:'));
        return { cloudId, certificate, endpoints, role, binding: tlsOnly ? 'exporter' : 'none' };
      },
      close: async () => {
        view.stop();
        pool.close();
        await store.close();
      },
    };
    return installation;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Newest first, as the records are. */
function loadOwn(
  config: Config,
  records: readonly IdentityRecord[],
  { now, anyIdentity }: { now: number; anyIdentity: boolean },
): OwnIdentity[] {
  return usableRecords(records, now).flatMap((record) => {
    try {
      return [loadOwnIdentity(config, record)];
    } catch (error) {
      if (anyIdentity) return [];
      throw error;
    }
  });
}

/** Beside a key, an empty database is more likely one that was lost than one that was never filled. */
function emptyDatabase({ home, identity }: Config): AllianceError {
  const details = `The database of ${home} is empty`;
  if (!existsSync(identity.keyFile)) return new AllianceError('not_initialised', { details: `${details}.` });
  return new AllianceError('not_initialised', {
    details: `${details}, but there is a private key.`,
    remedy: 'If there were partners, run `alliance restore FILE`; if `alliance init` was interrupted, run it again.',
  });
}

/** Addresses of this host that are not loopback, for the hint on what to advertise. */
export function hostAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((one) => !one.internal)
    .map((one) => one.address);
}
