/** Clouds for tests: a home directory, a Keystone, and a broker in this process, on free ports of 127.0.0.1. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Broker, type BrokerOptions, startBroker } from '../../src/broker/broker.ts';
import { initHome } from '../../src/broker/init.ts';
import { type Installation, openInstallation } from '../../src/broker/installation.ts';
import { accept, approve, type InviteOptions, invite, refreshPairing } from '../../src/broker/partners.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { HostPort } from '../../src/core/endpoint.ts';
import type { Logger } from '../../src/core/log.ts';
import type { Partner } from '../../src/model/partner.ts';
import { startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { findFreePort } from '../../src/server/freePort.ts';
import { temporaryDirectory } from './directory.ts';
import { type KeyKind, makeIdentity } from './identity.ts';
import type { RunningKeystone } from './keystoneApi.ts';

export interface CloudOptions extends Partial<Pick<BrokerOptions, 'limits' | 'pauses'>> {
  readonly cloudId: string;
  /** Of the operator's own key; null lets `init` make an RSA one, which takes about a second. */
  readonly kind?: KeyKind | null;
  readonly clock?: Clock;
  readonly log?: Logger;
  /** A Keystone that runs already, and whose end is the caller's; default: a sandbox. */
  readonly keystone?: RunningKeystone;
  /** More of the configuration, as environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Endpoints to advertise, from the ports; default the TLS one alone. */
  readonly advertise?: (ports: { readonly tls: number; readonly tcp: number }) => readonly string[];
}

export interface Cloud {
  readonly cloudId: string;
  readonly home: string;
  readonly env: Record<string, string>;
  readonly keystone: RunningKeystone;
  readonly ports: { readonly tls: number; readonly tcp: number };
  /** The broker that runs now. */
  readonly broker: Broker;
  readonly installation: Installation;
  /** Another process's view of the same home: what a command of the operator works with. Closed with the cloud. */
  openSecond(): Promise<Installation>;
  stopBroker(): Promise<void>;
  startBroker(): Promise<void>;
  /** The partner of that cloud_id as this cloud stores it. */
  partner(cloudId: string): Promise<Partner>;
  /** Value of a metric, all its label sets that contain `labels` summed up. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Everything; also the Keystone, if it is the cloud's own. */
  stop(): Promise<void>;
}

const running = new Set<Cloud>();

/** For `afterEach` (or `after`): ends whatever clouds were started. */
export async function stopClouds(): Promise<void> {
  const clouds = [...running];
  running.clear();
  await Promise.all(clouds.map((cloud) => cloud.stop()));
}

function writeOwnKey(home: string, cloudId: string, kind: KeyKind): void {
  const { keyPem, certificatePem } = makeIdentity(cloudId, kind);
  for (const [name, text] of [
    ['key.pem', keyPem],
    ['certificate.pem', certificatePem],
  ] as const) {
    mkdirSync(dirname(`${home}/${name}`), { recursive: true, mode: 0o700 });
    writeFileSync(`${home}/${name}`, text, { mode: 0o600 });
  }
}

export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { cloudId, kind = 'P-256', advertise = ({ tls }) => [`tls://127.0.0.1:${tls}`] } = options;
  const directory = temporaryDirectory();
  const home = directory.path;
  const keystone = options.keystone ?? (await startSandboxKeystone({ region: cloudId }));
  const ports = { tls: await findFreePort(), tcp: await findFreePort() };
  const env: Record<string, string> = {
    ALLIANCE_KEYSTONE__USERNAME: 'admin',
    ALLIANCE_KEYSTONE__PASSWORD: keystone.adminPassword,
    ALLIANCE_KEYSTONE__PROJECT_NAME: 'admin',
    ALLIANCE_DIAL__ALLOW: '127.0.0.0/8',
    ALLIANCE_LOG__LEVEL: 'silent',
    ...options.env,
  };
  if (kind !== null) writeOwnKey(home, cloudId, kind);
  const { clock, log, limits, pauses } = options;
  const time = clock ? { clock } : {};
  await initHome({ home, env, cloudId, advertise: advertise(ports), keystoneUrl: keystone.url, ...time });

  const listen = {
    tls: { host: '127.0.0.1', port: ports.tls },
    tcp: { host: '127.0.0.1', port: ports.tcp },
    http: { host: '127.0.0.1', port: 0 },
  };
  const common = { home, env, ...time, ...(log && { log }) };
  const start = () => startBroker({ ...common, listen, ...(limits && { limits }), ...(pauses && { pauses }) });
  const seconds: Installation[] = [];
  let broker = await start();
  let up = true;

  const stopBroker = async () => {
    if (!up) return;
    up = false;
    await broker.stop();
  };
  const cloud: Cloud = {
    cloudId,
    home,
    env,
    keystone,
    ports,
    get broker() {
      return broker;
    },
    get installation() {
      return broker.installation;
    },
    openSecond: async () => {
      const second = await openInstallation(common);
      seconds.push(second);
      return second;
    },
    stopBroker,
    startBroker: async () => {
      broker = await start();
      up = true;
    },
    partner: (other) => broker.installation.store.partners.resolve(other),
    metric: (name, labels) => readMetric(broker.addresses.http!, name, labels),
    stop: async () => {
      running.delete(cloud);
      for (const second of seconds) await second.close();
      await stopBroker();
      if (!options.keystone) await keystone.stop();
      directory.remove();
    },
  };
  running.add(cloud);
  return cloud;
}

/** Sum of a metric over all its label sets that contain `labels`. */
export async function readMetric(
  { host, port }: HostPort,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** `inviter` invites, `acceptor` accepts, the inviter's operator approves by code. `role` is what the acceptor is to the inviter. */
export async function pairClouds(
  inviter: Cloud,
  acceptor: Cloud,
  options: InviteOptions = {},
): Promise<{ readonly atInviter: Partner; readonly atAcceptor: Partner }> {
  const { token } = await invite(inviter.installation, options);
  const accepted = await accept(acceptor.installation, token);
  const waiting = await inviter.partner(acceptor.cloudId);
  const atInviter =
    waiting.state === 'active' ? waiting : await approve(inviter.installation, waiting, accepted.code ?? '');
  return { atInviter, atAcceptor: await refreshPairing(acceptor.installation, accepted) };
}
