/** Two embedded Keystones, each with Glances in some regions, for commands that are to find them by their catalogs. */
import { createGlanceRegions, type GlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import type { ImageStore, StoredImage } from '../../src/lproxy/imageStore.ts';
import { type SandboxGlance, startGlance } from '../../src/sandbox/glance.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { listAll } from './glanceContract.ts';
import { loginOf } from './imageLogin.ts';

export interface TestRegion {
  readonly glance: SandboxGlance;
  readonly store: ImageStore;
  /** By name; two of one name are a mistake. */
  images(): Promise<Map<string, StoredImage>>;
}

export interface TestCloud {
  readonly keystone: SandboxKeystone;
  readonly regions: ReadonlyMap<string, TestRegion>;
  /** `OS_*` for it. */
  readonly env: Readonly<Record<string, string>>;
  /** `credential` of glancesync.conf. */
  readonly credential: string;
  region(name: string): TestRegion;
  clear(): Promise<void>;
  close(): Promise<void>;
}

async function byName(store: ImageStore): Promise<Map<string, StoredImage>> {
  const images = await listAll(store);
  const found = new Map(images.map((image) => [image.name, image] as const));
  if (found.size < images.length) throw new Error('There are two images of one name.');
  return found;
}

export async function startImageCloud(...names: readonly string[]): Promise<TestCloud> {
  const keystone = await startSandboxKeystone();
  const { url, adminPassword } = keystone;
  const glances = await Promise.all(
    names.map(async (region) => [region, await startGlance({ keystone, region })] as const),
  );
  const login: GlanceRegions = createGlanceRegions(loginOf(url, adminPassword));
  const regions = new Map<string, TestRegion>();
  for (const [name, glance] of glances) {
    const store = await login.store(name);
    regions.set(name, { glance, store, images: () => byName(store) });
  }
  return {
    keystone,
    regions,
    env: {
      OS_AUTH_URL: url,
      OS_USERNAME: 'admin',
      OS_PASSWORD: adminPassword,
      OS_PROJECT_NAME: 'admin',
      OS_REGION_NAME: names[0]!,
    },
    credential: `admin,${Buffer.from(adminPassword).toString('base64')},${url},admin`,
    region: (name) => regions.get(name)!,
    clear: async () => {
      for (const { glance, store } of regions.values()) {
        glance.faults.clear();
        for (const image of glance.images.values()) image.protected = false;
        for (const { id } of await listAll(store)) await store.delete(id);
      }
    },
    close: async () => {
      await login.close();
      for (const { glance } of regions.values()) await glance.close();
      await keystone.stop();
    },
  };
}
