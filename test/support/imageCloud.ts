/** A cloud with an embedded Glance beside its Keystone, for what partners do with its images. */
import { randomUUID } from 'node:crypto';
import { createGlanceRegions, type GlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import type { ImageAttributes, ImageStore, StoredImage } from '../../src/lproxy/imageStore.ts';
import { type SandboxGlance, startGlance } from '../../src/sandbox/glance.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { type Cloud, type CloudOptions, startCloud } from './cloud.ts';

export interface GlanceCloud {
  readonly cloud: Cloud;
  readonly keystone: SandboxKeystone;
  readonly glance: SandboxGlance;
  /** The same Glance, for the test itself: the broker's own user. */
  readonly own: ImageStore;
  /** Id of the project of the broker's user. */
  readonly projectId: string;
  stop(): Promise<void>;
}

type More = Partial<Omit<CloudOptions, 'keystone' | 'cloudId' | 'env'>>;

/** `env` is made when the id of the project is known. */
export async function startGlanceCloud(
  cloudId: string,
  env: (projectId: string) => Record<string, string> = () => ({}),
  more: More = {},
): Promise<GlanceCloud> {
  const keystone = await startSandboxKeystone({ region: cloudId });
  const glance = await startGlance({ keystone });
  const regions: GlanceRegions = createGlanceRegions({
    authUrl: keystone.url,
    credentials: {
      method: 'password',
      user: { name: 'admin', domain: { name: 'Default' } },
      password: keystone.adminPassword,
    },
    scope: { project: { name: 'admin', domain: { name: 'Default' } } },
  });
  const projectId = await regions.projectId();
  const cloud = await startCloud({ cloudId, keystone, env: env(projectId), ...more });
  return {
    cloud,
    keystone,
    glance,
    own: await regions.store(cloudId),
    projectId,
    stop: async () => {
      await cloud.stop();
      await regions.close();
      await glance.close();
      await keystone.stop();
    },
  };
}

/** Configuration of what a partner may do, as environment variables. */
export const imageEnv = (of: string, rules: Readonly<Record<string, string | number | boolean>>) =>
  Object.fromEntries(
    Object.entries(rules).map(([key, value]) => [
      `ALLIANCE_PARTNERS__${of.toUpperCase()}__IMAGES__${key.toUpperCase()}`,
      String(value),
    ]),
  );

export const newAttributes = (changes: Partial<ImageAttributes> = {}): ImageAttributes => ({
  name: 'debian',
  visibility: 'private',
  diskFormat: 'raw',
  containerFormat: 'bare',
  minDiskGib: 0,
  minRamMib: 0,
  protected: false,
  hidden: false,
  tags: [],
  properties: new Map(),
  ...changes,
});

export async function* pieces(content: Buffer, size = 65_536): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

export async function collect(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const piece of content) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
}

/** An image with its content, made at once. */
export async function addImage(
  store: ImageStore,
  content: Buffer,
  changes: Partial<ImageAttributes> = {},
): Promise<StoredImage> {
  const id = randomUUID();
  await store.create(id, newAttributes(changes));
  return store.write(id, pieces(content), content.length);
}

/** Every image that may be seen. */
export async function listAll(store: ImageStore): Promise<StoredImage[]> {
  const images: StoredImage[] = [];
  for await (const page of store.list()) images.push(...page);
  return images;
}
