/** Two paired clouds, each with a Keystone, a Glance and the home of a broker; that of east serves its images to west. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GlanceImage, startGlance } from '../src/sandbox/glance.ts';
import { startSandboxKeystone } from '../src/sandbox/keystone.ts';
import { findFreePort } from '../src/server/freePort.ts';
import type { RunningGlance } from '../test/support/glanceContract.ts';
import type { RunningKeystone } from '../test/support/keystoneApi.ts';
import { createHome, pair } from './clouds.ts';
import { isRealInstalled as areKeystonesInstalled } from './keystones.ts';
import { clientCloudId, serverCloudId } from './message.ts';
import { type Serving, startServing } from './serving.ts';

export interface ImageCloud extends RunningGlance {
  /** Of its broker. */
  readonly home: string;
  /** Those of an embedded Glance, by id. */
  readonly images?: Map<string, GlanceImage>;
}

export interface ImageClouds {
  readonly east: ImageCloud;
  readonly west: ImageCloud;
  /** Of east. */
  readonly serving: Serving;
  stop(): Promise<void>;
}

export const isRealInstalled = (): boolean => areKeystonesInstalled() && existsSync('/usr/bin/glance-api');

async function startEmbedded(region: string): Promise<Omit<ImageCloud, 'home'>> {
  const keystone = await startSandboxKeystone({ region });
  const glance = await startGlance({ keystone });
  const stop = async (): Promise<void> => {
    await glance.close();
    await keystone.stop();
  };
  return { keystone, region, url: glance.url, images: glance.images as Map<string, GlanceImage>, stop };
}

async function startReal(region: string): Promise<RunningGlance> {
  const { startCloudGlance } = await import('../test/openstack/cloudGlance.ts');
  return startCloudGlance({ region });
}

/** As installed, but for the limit on a partner's bytes, which would be what is measured. */
async function configOf(cloudId: string, { keystone, region }: RunningGlance, partner: string): Promise<string> {
  const { url, adminPassword }: RunningKeystone = keystone;
  const [tls, tcp, http] = [await findFreePort(), await findFreePort(), await findFreePort()];
  return `
cloud_id: ${cloudId}
advertise: ['tcp://127.0.0.1:${tcp}', 'tls://127.0.0.1:${tls}']
listen: { tls: '127.0.0.1:${tls}', tcp: '127.0.0.1:${tcp}' }
http: { listen: '127.0.0.1:${http}' }
keystone: { auth_url: '${url}', username: admin, password: '${adminPassword}', project_name: admin, region: ${region} }
dial: { allow: [127.0.0.0/8] }
partners: { ${partner}: { bytes_per_s: 0, images: { read: true } } }
`;
}

export async function createImageClouds(real: boolean): Promise<ImageClouds> {
  const folder = mkdtempSync(join(tmpdir(), 'alliance-bench-'));
  const stops: (() => Promise<void>)[] = [async () => rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  const open = async (name: string, cloudId: string, partner: string): Promise<ImageCloud> => {
    const glance = await (real ? startReal : startEmbedded)(name);
    stops.push(() => glance.stop());
    const home = join(folder, name);
    await createHome(home, await configOf(cloudId, glance, partner));
    return { ...glance, home };
  };
  try {
    const [east, west] = await Promise.all([
      open('east', serverCloudId, clientCloudId),
      open('west', clientCloudId, serverCloudId),
    ]);
    const serve = () => startServing(east.home, join(folder, 'east.log'));
    await pair(east.home, west.home, serve);
    const serving = await serve();
    stops.push(() => serving.stop());
    return { east, west, serving, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
