/** One running broker: every part, wired. */
import { randomBytes } from 'node:crypto';
import { loadConfig } from '../core/config.ts';
import { compareConfigs } from '../core/configView.ts';
import type { HostPort } from '../core/endpoint.ts';
import { toAllianceError } from '../core/errors.ts';
import { connectionLimits, revocationLimits } from '../core/limits.ts';
import { RefusalLog } from '../core/refusalLog.ts';
import { hmacSha256 } from '../crypto/bytes.ts';
import type { FacadeFace, FacadeTls } from '../http/facade/facade.ts';
import { createMetrics } from '../http/metrics.ts';
import { startHttp } from '../http/server.ts';
import { namesKeystone, resolveKeystone } from '../lproxy/credentials.ts';
import { createKeystone, type Keystone } from '../lproxy/keystone.ts';
import { databaseBytes } from '../model/database.ts';
import { roles } from '../model/trust.ts';
import type { ConnectionLimits, ServerContext } from '../server/context.ts';
import type { ImageService } from '../server/images/images.ts';
import { AllianceServer } from '../server/listener.ts';
import { partnerKeystones } from '../server/partnerKeystones.ts';
import { createRates } from '../server/rates.ts';
import { Shares } from '../server/shares.ts';
import { createSignQueue } from '../server/signQueue.ts';
import { ownTokens } from '../token/revocation/source.ts';
import { SoftTokens } from '../token/softTokens.ts';
import { recordConfiguration, recordStart } from './audit.ts';
import { headToTell } from './auditTask.ts';
import { openFacade, readFacadeTls } from './facade.ts';
import { type Federation, startFederation } from './federation.ts';
import { assertImages } from './imagesExamination.ts';
import { openImageWork } from './imageWork.ts';
import { type Installation, type OpenOptions, openInstallation } from './installation.ts';
import { KeystoneWatch } from './keystoneWatch.ts';
import { openPartnerImages } from './partnerImages.ts';
import { startTasks, type TaskPauses } from './tasks.ts';

export interface BrokerOptions extends Omit<OpenOptions, 'telemetry'> {
  /** Instead of what configuration says; null switches a door off. */
  readonly listen?: {
    readonly tls?: HostPort | null | undefined;
    readonly tcp?: HostPort | null | undefined;
    readonly http?: HostPort | null | undefined;
    readonly facade?: HostPort | null | undefined;
  };
  /** Instead of `connectionLimits`. */
  readonly limits?: Partial<ConnectionLimits>;
  /** Instead of `taskLimits`. */
  readonly pauses?: Partial<TaskPauses>;
}

export interface Broker {
  readonly installation: Installation;
  /** Where it listens; null: nowhere. */
  readonly addresses: Readonly<Record<'tls' | 'tcp' | 'http' | 'facade', HostPort | null>>;
  readonly keystone: Keystone | undefined;
  readonly federation: Federation;
  /** This cloud's images for partners. */
  readonly images: ImageService;
  /** Reads the configuration again; throws, with nothing changed, when it has errors. */
  reload(): Promise<{ applied: string[]; needRestart: string[] }>;
  /** Stops taking calls, answers those in flight, closes everything. */
  stop(): Promise<void>;
}

export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const metrics = createMetrics();
  const installation = await openInstallation({ ...options, telemetry: metrics });
  const doors: (() => Promise<void>)[] = [];
  const stops: (() => Promise<void>)[] = [() => installation.close()];
  const end = async () => {
    // In parallel: a door closes at once, whatever keeps another one or a task busy.
    await Promise.all(doors.map((close) => close()));
    for (const close of stops.reverse()) await close();
  };
  let ended: Promise<void> | undefined;
  const stop = () => {
    ended ??= end();
    return ended;
  };
  try {
    const { config, view, clock, log } = installation;
    const watch = new KeystoneWatch(log);
    const keystone = openKeystone(installation, watch);
    if (keystone) {
      stops.push(() => keystone.close());
      doors.push(async () => watch.close());
    }
    const federation = await startFederation(installation, keystone);
    stops.push(() => federation.stop());
    metrics.observe({
      view,
      clock,
      confirmedAt: (uid) => federation.marks.confirmedAt(uid),
      databaseBytes: () => databaseBytes(config.database.url),
      auditFinding: () => installation.auditWatch.finding,
      ...(keystone && { keystone: () => watch.state }),
    });
    const rates = createRates();
    const images = openPartnerImages(installation, rates);
    stops.push(() => images.close());
    doors.push(async () => images.service.close());
    const parts = { keystone, federation, rates, images: images.service };
    const server = new AllianceServer(createContext(installation, parts, options.limits));
    // Partners wait for revocations, and hear now that there will be none; and that ours end is no failure of theirs.
    doors.push(
      () => federation.revocations.stop(),
      () => federation.followers.stop(),
      () => server.close(),
    );

    const faces = { http: config.http.listen, facade: config.facade.listen };
    const wanted = { ...config.listen, ...faces, ...definedOf(options.listen) };
    const addresses = {
      tls: wanted.tls ? await server.listenTls(wanted.tls) : null,
      tcp: wanted.tcp ? await server.listenTcp(wanted.tcp) : null,
      http: null as HostPort | null,
      facade: null as HostPort | null,
    };
    const work = openImageWork(installation, keystone);
    doors.push(() => work.stop());
    if (wanted.http) {
      const http = await startHttp({
        address: wanted.http,
        metrics,
        readiness: () => readiness(installation, keystone && watch),
        ...(work.rest && { glancesync: work.rest }),
      });
      addresses.http = http.address;
      doors.push(() => http.close());
    }
    const look = { name: 'keystone', pause: 'keystoneMs' } as const;
    const tasks = startTasks(installation, {
      keystone,
      ...(options.pauses && { pauses: options.pauses }),
      more: keystone
        ? [
            { ...look, run: (_, { signal }) => watch.look(keystone, signal) },
            { name: 'partner images', pause: 'partnerImagesMs', run: () => images.service.tend() },
            work.task,
          ]
        : [work.task],
    });
    doors.push(() => tasks.stop());
    const facade = wanted.facade ? await openFacade(installation, federation, keystone, wanted.facade) : null;
    if (facade) {
      addresses.facade = facade.address;
      doors.push(() => facade.close());
    }
    // A broker that could not open its doors has never run; one that cannot write what it does must not.
    await recordStart(installation, config);
    return {
      installation,
      addresses,
      keystone,
      federation,
      images: images.service,
      reload: () => reload(installation, facade),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const definedOf = <T extends object>(values: T | undefined): Partial<T> =>
  Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>;

/** This cloud's Keystone, or undefined when nothing is configured of it: then the broker pairs and pings, and answers no token calls. */
export function openKeystone(
  installation: Pick<Installation, 'config' | 'env' | 'clock' | 'telemetry'>,
  watch?: KeystoneWatch,
) {
  const { config, env, clock, telemetry } = installation;
  if (!namesKeystone(config.keystone, env)) return undefined;
  return createKeystone({
    ...resolveKeystone(config.keystone, { env }),
    clock,
    limits: { concurrency: config.limits.keystoneConcurrency },
    onCall: (operation, outcome, ms) => {
      telemetry.keystoneCall(operation, outcome, ms);
      watch?.note(operation, outcome);
    },
  });
}

interface ContextParts extends Pick<ServerContext, 'images' | 'rates'> {
  readonly keystone: Keystone | undefined;
  readonly federation: Federation;
}

function createContext(
  installation: Installation,
  { keystone, federation, rates, images }: ContextParts,
  limits: Partial<ConnectionLimits> = {},
): ServerContext {
  const { marks, hints, notices, revocations, followers } = federation;
  const { store, view, clock, log, telemetry, card, ownTokenKeys } = installation;
  const config = () => installation.config;
  return {
    store,
    view,
    clock,
    log,
    telemetry,
    config,
    limits: { ...connectionLimits, ...limits },
    card,
    ownTokenKeys,
    decoyRole: decoyRoles(),
    images,
    keystone: partnerKeystones(keystone, () => config().limits.keystoneConcurrencyPerPartner),
    softTokens: new SoftTokens(
      () => ({ entries: config().limits.softCacheEntries, ageMs: config().limits.softCacheMs }),
      (facts) => marks.isRevoked(ownTokens, facts),
      clock,
    ),
    hints,
    notices,
    revocations,
    readers: new Shares(revocationLimits.readersPerPartner),
    followers,
    rates,
    refusals: new RefusalLog(),
    sign: createSignQueue(),
    auditHead: () => headToTell(installation),
  };
}

function decoyRoles(): ServerContext['decoyRole'] {
  const key = randomBytes(32);
  return (id) => roles[hmacSha256(key, id).readUInt32BE(0) % roles.length]!;
}

async function readiness({ store, view }: Installation, watch: KeystoneWatch | undefined) {
  const database = await store.ping().then(
    () => 'ok',
    (thrown: unknown) => toAllianceError(thrown).errorName,
  );
  // A broker whose Keystone is down still answers its partners, and says so in each answer; it stays ready.
  const checks = { database, ...(view.lost && { trust: 'lost' }), ...(watch && { keystone: watch.state }) };
  return { ready: database === 'ok' && !view.lost, checks };
}

/** What only the facade can tell: whether it can use a certificate. */
async function renewTls(installation: Installation, facade: FacadeFace | null, tls: FacadeTls | null | undefined) {
  if (!facade || !tls) return;
  try {
    facade.renewTls(tls);
  } catch (error) {
    await recordConfiguration(installation, 'reload_failed', {});
    throw error;
  }
}

async function reload(installation: Installation, facade: FacadeFace | null) {
  const { config: before, log } = installation;
  const after = loadConfig({ home: installation.home, env: installation.env });
  assertImages(after);
  // The files that the running facade was started with: their content may be another.
  const tls = facade && readFacadeTls(before);
  const { reloadable, needRestart } = compareConfigs(before, after);
  const details = { applied: reloadable, need_restart: needRestart };
  await recordConfiguration(installation, 'reloaded', details);
  await renewTls(installation, facade, tls);
  const { limits, exports, partners, dial, tokens, audit, images } = after;
  installation.config = {
    ...before,
    limits,
    exports,
    partners,
    dial,
    tokens,
    audit,
    images: { ...before.images, policies: images.policies },
    log: { ...before.log, level: after.log.level },
  };
  installation.pool.allow = dial.allow;
  log.level = after.log.level;
  log.info({ applied: reloadable, needRestart }, 'Configuration reloaded.');
  return { applied: reloadable, needRestart };
}
