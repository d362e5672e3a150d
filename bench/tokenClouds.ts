/** Two paired clouds, each with a Keystone and a broker that runs as `serve` does: east issues tokens, services of west hear of them at its facade. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openInstallation } from '../src/broker/installation.ts';
import { findFreePort } from '../src/server/freePort.ts';
import type { RunningKeystone } from '../test/support/keystoneApi.ts';
import { createHome, pair } from './clouds.ts';
import { adminOf, createMember, type Member, startKeystone } from './keystones.ts';
import { clientCloudId, serverCloudId } from './message.ts';
import { startServing } from './serving.ts';

/** One side. */
export interface TokenCloud {
  readonly keystone: RunningKeystone;
  readonly member: Member;
  /** Port of the broker's metrics. */
  readonly httpPort: number;
}

export interface TokenClouds {
  readonly east: TokenCloud;
  readonly west: TokenCloud;
  readonly facadePort: number;
  /** New tokens of somebody who may validate tokens, in west and in east. */
  caller(): Promise<string>;
  eastCaller(): Promise<string>;
  /** A token of east as west's services may be given it. */
  qualify(token: string): string;
  stop(): Promise<void>;
}

const rules = JSON.stringify([
  {
    remote: [{ type: 'openstack_user' }, { type: 'openstack_roles', any_one_of: ['member'] }],
    local: [{ user: { name: '{0}' }, projects: [{ name: 'guests', roles: [{ name: 'member' }] }] }],
  },
]);

interface HomeOptions {
  readonly cloudId: string;
  readonly partner: string;
  readonly keystone: RunningKeystone;
  readonly httpPort: number;
  readonly facadePort?: number;
}

/** The limit on a partner's calls would be what is measured, so it is off; everything else is as installed. */
async function configOf({ cloudId, partner, keystone, httpPort, facadePort }: HomeOptions): Promise<string> {
  const [tls, tcp] = [await findFreePort(), await findFreePort()];
  return `
cloud_id: ${cloudId}
advertise: ['tls://127.0.0.1:${tls}']
listen: { tls: '127.0.0.1:${tls}', tcp: '127.0.0.1:${tcp}' }
http: { listen: '127.0.0.1:${httpPort}' }
keystone: { auth_url: '${keystone.url}', username: admin, password: '${keystone.adminPassword}', project_name: admin }
dial: { allow: [127.0.0.0/8] }
partners: { ${partner}: { calls_per_s: 0 } }
${facadePort === undefined ? '' : `facade: { listen: '127.0.0.1:${facadePort}' }`}
`;
}

async function setMapping(home: string): Promise<void> {
  const installation = await openInstallation({ home, env: {} });
  try {
    const { partners, mappings } = installation.store;
    await mappings.set((await partners.resolve(serverCloudId)).uid, rules);
  } finally {
    await installation.close();
  }
}

export async function createTokenClouds(real: boolean): Promise<TokenClouds> {
  const folder = mkdtempSync(join(tmpdir(), 'alliance-bench-'));
  const stops: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  const start = async (region: string): Promise<RunningKeystone> => {
    const keystone = await startKeystone(region, real);
    stops.push(() => keystone.stop());
    return keystone;
  };
  try {
    const [atEast, atWest] = await Promise.all([start('east'), start('west')]);
    const east = { keystone: atEast, member: await createMember(atEast, 'members'), httpPort: await findFreePort() };
    const west = { keystone: atWest, member: await createMember(atWest, 'guests'), httpPort: await findFreePort() };
    const facadePort = await findFreePort();
    const [home, westHome] = [join(folder, 'east'), join(folder, 'west')];
    await createHome(home, await configOf({ ...east, cloudId: serverCloudId, partner: clientCloudId }));
    await createHome(westHome, await configOf({ ...west, cloudId: clientCloudId, partner: serverCloudId, facadePort }));
    await pair(home, westHome, () => startServing(home, join(folder, 'east.log')));
    await setMapping(westHome);
    for (const each of [home, westHome]) {
      const serving = await startServing(each, `${each}.log`);
      stops.push(() => serving.stop());
    }
    const qualify = (token: string): string => `a1.${serverCloudId}.${token}`;
    return { east, west, facadePort, caller: () => adminOf(atWest), eastCaller: () => adminOf(atEast), qualify, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
