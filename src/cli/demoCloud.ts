/** One cloud of the demo: an embedded Keystone with a small catalog, and a broker beside it in a home directory of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Broker, startBroker } from '../broker/broker.ts';
import { configPath } from '../broker/files.ts';
import { initHome } from '../broker/init.ts';
import { formatHostPort } from '../core/endpoint.ts';
import type { Logger } from '../core/log.ts';
import { writeWhole } from '../core/wholeFile.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../sandbox/keystone.ts';
import { findFreePort } from '../server/freePort.ts';
import { announceBroker } from './brokerFile.ts';

export interface DemoCloud {
  readonly cloudId: string;
  readonly home: string;
  readonly broker: Broker;
  readonly keystone: SandboxKeystone;
  stop(): Promise<void>;
}

interface DemoCloudOptions {
  readonly cloudId: string;
  /** Directory for the home. */
  readonly root: string;
  readonly log: Logger;
  /** cloud_ids whose users may log in here through their broker. */
  readonly loginsFrom: readonly string[];
}

const host = '127.0.0.1';

export async function startDemoCloud({ cloudId, root, log, loginsFrom }: DemoCloudOptions): Promise<DemoCloud> {
  const home = join(root, cloudId);
  mkdirSync(home, { mode: 0o700 });
  const region = `${cloudId}-1`;
  const keystone = await startSandboxKeystone({ region });
  try {
    fillCatalog(keystone, cloudId);
    const ports = { tls: await findFreePort(host), tcp: await findFreePort(host), http: await findFreePort(host) };
    const at = (port: number) => formatHostPort({ host, port });
    const settings = {
      cloud_id: cloudId,
      advertise: [`tls://${at(ports.tls)}`, `tcp://${at(ports.tcp)}`],
      listen: { tls: at(ports.tls), tcp: at(ports.tcp) },
      http: { listen: at(ports.http) },
      keystone: {
        auth_url: keystone.url,
        username: 'admin',
        password: keystone.adminPassword,
        user_domain_name: 'Default',
        project_name: 'admin',
        project_domain_name: 'Default',
      },
      // Both clouds are on this host, which partners are not dialled on otherwise.
      dial: { allow: ['127.0.0.0/8'] },
      partners: Object.fromEntries(loginsFrom.map((partner) => [partner, { authenticate: true }])),
    };
    writeWhole(configPath(home), stringify(settings), 0o600);
    // The variables of whoever starts the demo are about another broker.
    await initHome({ home, env: {} });
    const broker = await startBroker({ home, env: {}, log });
    const withdraw = announceBroker(broker);
    const stop = async () => {
      withdraw();
      await broker.stop();
      await keystone.stop();
    };
    return { cloudId, home, broker, keystone, stop };
  } catch (error) {
    await keystone.stop();
    throw error;
  }
}

/** What a small cloud offers, beside the Keystone that is really there. */
function fillCatalog({ state, region }: SandboxKeystone, cloudId: string): void {
  for (const [type, name, port] of [
    ['image', 'glance', 9292],
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
