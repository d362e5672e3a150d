/** One cloud of the demo: an embedded Keystone with a small catalog, a Glance, a broker beside them in a home directory of its own, and a service. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Broker, startBroker } from '../broker/broker.ts';
import { configPath } from '../broker/files.ts';
import { initHome } from '../broker/init.ts';
import { formatHostPort } from '../core/endpoint.ts';
import type { Logger } from '../core/log.ts';
import { writeWhole } from '../core/wholeFile.ts';
import { startGlance } from '../sandbox/glance.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../sandbox/keystone.ts';
import { type SandboxService, startSandboxService } from '../sandbox/service.ts';
import { findFreePort } from '../server/freePort.ts';
import { announceBroker } from './brokerFile.ts';

export interface DemoCloud {
  readonly cloudId: string;
  readonly home: string;
  readonly broker: Broker;
  readonly keystone: SandboxKeystone;
  /** Behind the broker's facade, as any service of the cloud. */
  readonly service: SandboxService;
  /** Of the user trainee, domain Default, project demo, who has the role reader alone. */
  readonly traineePassword: string;
  stop(): Promise<void>;
}

interface DemoCloudOptions {
  readonly cloudId: string;
  /** Directory for the home. */
  readonly root: string;
  readonly log: Logger;
  /** cloud_ids whose users may log in here through their broker, and which may have images of this cloud. */
  readonly partners: readonly string[];
}

const host = '127.0.0.1';

/** What the service is configured with, as `token_cache_time`; services have 300 unless they are told otherwise. */
export const tokenCacheTimeS = 1;

export async function startDemoCloud({ cloudId, root, log, partners }: DemoCloudOptions): Promise<DemoCloud> {
  const home = join(root, cloudId);
  mkdirSync(home, { mode: 0o700 });
  const region = `${cloudId}-1`;
  const keystone = await startSandboxKeystone({ region });
  fillCatalog(keystone, cloudId);
  const servicePassword = addService(keystone);
  const traineePassword = addTrainee(keystone);
  const glance = await startGlance({ keystone, directory: root });
  try {
    const ports = {
      tls: await findFreePort(host),
      tcp: await findFreePort(host),
      http: await findFreePort(host),
      facade: await findFreePort(host),
    };
    const at = (port: number) => formatHostPort({ host, port });
    const settings = {
      cloud_id: cloudId,
      advertise: [`tls://${at(ports.tls)}`, `tcp://${at(ports.tcp)}`],
      listen: { tls: at(ports.tls), tcp: at(ports.tcp) },
      http: { listen: at(ports.http) },
      facade: { listen: at(ports.facade) },
      keystone: {
        auth_url: keystone.url,
        username: 'admin',
        password: keystone.adminPassword,
        user_domain_name: 'Default',
        project_name: 'admin',
        project_domain_name: 'Default',
        region,
      },
      // Both clouds are on this host, which partners are not dialled on otherwise.
      dial: { allow: ['127.0.0.0/8'] },
      partners: Object.fromEntries(
        partners.map((partner) => [partner, { authenticate: true, images: { read: true } }]),
      ),
    };
    writeWhole(configPath(home), stringify(settings), 0o600);
    // The variables of whoever starts the demo are about another broker.
    await initHome({ home, env: {} });
    const broker = await startBroker({ home, env: {}, log });
    const withdraw = announceBroker(broker);
    const service = await startSandboxService({
      authUrl: `http://${formatHostPort(broker.addresses.facade!)}/v3`,
      ...serviceUser,
      password: servicePassword,
      tokenCacheTimeS,
    });
    const stop = async () => {
      withdraw();
      await service.stop();
      await broker.stop();
      await glance.close();
      await keystone.stop();
    };
    return { cloudId, home, broker, keystone, service, traineePassword, stop };
  } catch (error) {
    await glance.close();
    await keystone.stop();
    throw error;
  }
}

const serviceUser = { username: 'words', projectName: 'service' } as const;

const newPassword = (): string => randomBytes(18).toString('base64url');

/** The service's own user, as an installer makes it, and a project for guests. Returns the password. */
function addService({ state }: SandboxKeystone): string {
  const password = newPassword();
  const user = state.addUser(serviceUser.username, password);
  const project = state.addProject(serviceUser.projectName);
  const role = [...state.roles.values()].find(({ name }) => name === 'service')!;
  state.grant(user.id, role.id, { kind: 'project', id: project.id });
  state.addProject('guests');
  return password;
}

/** Somebody who may look, but not do. Returns the password. */
function addTrainee({ state }: SandboxKeystone): string {
  const password = newPassword();
  const user = state.addUser('trainee', password);
  const project = [...state.projects.values()].find(({ name }) => name === 'demo')!;
  const role = [...state.roles.values()].find(({ name }) => name === 'reader')!;
  state.grant(user.id, role.id, { kind: 'project', id: project.id });
  return password;
}

/** What a small cloud offers, beside the Keystone and the Glance that are really there. */
function fillCatalog({ state, region }: SandboxKeystone, cloudId: string): void {
  for (const [type, name, port] of [
    ['object-store', 'swift', 8080],
    ['compute', 'nova', 8774],
  ] as const) {
    const { id: serviceId } = state.addService(type, name);
    for (const each of ['public', 'internal'])
      state.addEndpoint({
        serviceId,
        interface: each,
        regionId: region,
        url: `https://${name}.${each === 'public' ? '' : 'internal.'}${cloudId}.example:${port}`,
      });
  }
}
