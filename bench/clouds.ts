/** Two paired clouds: the home of a broker that serves, the home of one that calls it, and a Keystone behind the first. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { initHome } from '../src/broker/init.ts';
import { openInstallation } from '../src/broker/installation.ts';
import { accept, approve, invite, refreshPairing } from '../src/broker/partners.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../src/sandbox/keystone.ts';
import { findFreePort } from '../src/server/freePort.ts';
import { clientCloudId, serverCloudId } from './message.ts';
import { type Serving, startServing } from './serving.ts';

export interface Clouds {
  /** Plain TCP port of the serving broker. */
  readonly port: number;
  /** Home of the calling broker. */
  readonly callerHome: string;
  /** Of the serving broker's Keystone. */
  readonly token: string;
  /** Starts the serving broker. */
  serve(): Promise<Serving>;
  stop(): Promise<void>;
}

interface Ports {
  readonly tls: number;
  readonly tcp: number;
  readonly http: number;
}

/** The limits on strangers and partners would be what is measured, so they are off; everything else is as installed. */
const serverConfig = ({ tls, tcp, http }: Ports, { url, adminPassword }: SandboxKeystone): string => `
cloud_id: ${serverCloudId}
advertise: ['tcp://127.0.0.1:${tcp}', 'tls://127.0.0.1:${tls}']
listen: { tls: '127.0.0.1:${tls}', tcp: '127.0.0.1:${tcp}' }
http: { listen: '127.0.0.1:${http}' }
keystone: { auth_url: '${url}', username: admin, password: '${adminPassword}', project_name: admin }
limits: { unauthenticated_per_s: 0 }
partners: { ${clientCloudId}: { calls_per_s: 0, handshakes_per_s: 0 } }
`;

const callerConfig = `
cloud_id: ${clientCloudId}
advertise: ['tls://127.0.0.1:9']
dial: { allow: [127.0.0.0/8] }
log: { level: warn }
`;

/** A home whose configuration is this text. */
export async function createHome(home: string, config: string): Promise<void> {
  mkdirSync(home);
  writeFileSync(join(home, 'alliance.yaml'), config, { mode: 0o600 });
  await initHome({ home, env: {} });
}

async function issueToken({ url, demoPassword }: SandboxKeystone): Promise<string> {
  const user = { name: 'demo', domain: { name: 'Default' }, password: demoPassword };
  const answer = await fetch(`${url}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } } } }),
  });
  return answer.headers.get('x-subject-token')!;
}

export async function createClouds(): Promise<Clouds> {
  const folder = mkdtempSync(join(tmpdir(), 'alliance-bench-'));
  const keystone = await startSandboxKeystone();
  const stop = async (): Promise<void> => {
    await keystone.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const ports = { tls: await findFreePort(), tcp: await findFreePort(), http: await findFreePort() };
    const [home, callerHome] = [join(folder, 'east'), join(folder, 'west')];
    await createHome(home, serverConfig(ports, keystone));
    await createHome(callerHome, callerConfig);
    const serve = () => startServing(home, join(folder, 'east.log'));
    await pair(home, callerHome, serve);
    return { port: ports.tcp, callerHome, token: await issueToken(keystone), serve, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const approvalPollMs = 200;
const approvalTries = 25;

/** As two operators do it, beside the running broker. */
export async function pair(home: string, callerHome: string, serve: () => Promise<Serving>): Promise<void> {
  const serving = await serve();
  const inviter = await openInstallation({ home, env: {} });
  const acceptor = await openInstallation({ home: callerHome, env: {} });
  try {
    const { token } = await invite(inviter, { role: 'both' });
    const partner = await accept(acceptor, token);
    await approve(inviter, await inviter.store.partners.resolve(clientCloudId), partner.code!);
    // The running broker sees the approval at its next look at the database.
    let { state } = partner;
    for (let tries = 0; state !== 'active'; tries++) {
      if (tries === approvalTries) throw new Error(`The clouds did not pair: ${state}.`);
      await delay(approvalPollMs);
      ({ state } = await refreshPairing(acceptor, partner));
    }
  } finally {
    await acceptor.close();
    await inviter.close();
    await serving.stop();
  }
}
