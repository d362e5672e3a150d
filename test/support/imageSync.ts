/** Two embedded Glances with a store of each, and syncs from one to the other. */
import { createHash, randomBytes } from 'node:crypto';
import { createGlanceRegions, type GlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import type { ImageAttributes, ImageStore, StoredImage } from '../../src/lproxy/imageStore.ts';
import type { Store } from '../../src/model/store.ts';
import { type SandboxGlance, startGlance } from '../../src/sandbox/glance.ts';
import { startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { runSync } from '../../src/sync/images/sync.ts';
import type { RegionEnd, SyncEvent, SyncReport, SyncRequest } from '../../src/sync/images/syncTypes.ts';
import { listAll, newImage, readAll } from './glanceContract.ts';
import { loginOf } from './imageLogin.ts';
import { targetWith } from './images.ts';
import { createTestFile, type TestFile } from './store.ts';

export interface Side {
  readonly glance: SandboxGlance;
  readonly regions: GlanceRegions;
  readonly store: ImageStore;
}

export interface SyncWorld {
  readonly east: Side;
  readonly west: Side;
  readonly authUrl: string;
  readonly password: string;
  readonly projectId: string;
  readonly file: TestFile;
  readonly store: Store;
  readonly events: SyncEvent[];
  /** From east to west, with whatever is said otherwise. */
  request(more?: Partial<SyncRequest>, region?: Partial<RegionEnd>): SyncRequest;
  sync(more?: Partial<SyncRequest>, region?: Partial<RegionEnd>): Promise<SyncReport>;
  /** Takes all images and faults away, and what guards remember. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function startSyncWorld(): Promise<SyncWorld> {
  const keystone = await startSandboxKeystone();
  const { url: authUrl, adminPassword: password } = keystone;
  const opened: Side[] = [];
  for (const region of ['east', 'west']) {
    const glance = await startGlance({ keystone, region });
    const regions = createGlanceRegions(loginOf(authUrl, password));
    opened.push({ glance, regions, store: await regions.store(region) });
  }
  const [east, west] = opened as [Side, Side];
  const projectId = await east.regions.projectId();
  const file = createTestFile();
  const store = await file.open();
  const events: SyncEvent[] = [];

  const request: SyncWorld['request'] = (more = {}, region = {}) => ({
    master: { name: 'east', key: east.glance.url, store: east.store, projectId },
    regions: [
      {
        ...{ name: 'west', key: west.glance.url, store: west.store, projectId },
        target: targetWith({ replace: new Set(['any']) }),
        ...region,
      },
    ],
    compat: false,
    parallel: 1,
    imagesParallel: 2,
    bytesPerS: null,
    maxBytes: null,
    only: null,
    approved: true,
    trigger: 'manual',
    onEvent: (event) => events.push(event),
    ...more,
  });
  return {
    ...{ east, west, authUrl, password, projectId, file, store, events, request },
    sync: (more, region) => {
      events.length = 0;
      return runSync(request(more, region), { store });
    },
    clear: async () => {
      for (const { glance, store: images } of [east, west]) {
        glance.faults.clear();
        for (const image of glance.images.values()) image.protected = false;
        for (const { id } of await listAll(images)) await images.delete(id);
        for (const key of [glance.url, `source ${glance.url}`]) await store.transfers.setListedImages(key, 0);
      }
    },
    close: async () => {
      await file.remove();
      for (const { regions, glance } of [east, west]) {
        await regions.close();
        await glance.close();
      }
      await keystone.stop();
    },
  };
}

/** A public image; kernels, ramdisks and AMIs by their names. */
export function putImage(
  side: Pick<Side, 'store'>,
  name: string,
  content: Buffer | number = 1000,
  values: Partial<ImageAttributes> = {},
): Promise<StoredImage> {
  const bytes = typeof content === 'number' ? randomBytes(content) : content;
  const format = /^(aki|ari|ami)/.exec(name)?.[1];
  const formats = { diskFormat: format ?? 'raw', containerFormat: format ?? 'bare' };
  return newImage(side.store, bytes, { name, visibility: 'public', ...formats, ...values });
}

const md5 = (content: Buffer): string => createHash('md5').update(content).digest('hex');

/** What is at a side, as far as syncs care; links by name, so that two sides can be compared. */
export async function contentsOf(
  { store }: Pick<Side, 'store'>,
  projectId?: string,
): Promise<Record<string, unknown>[]> {
  const images = (await listAll(store)).filter(({ owner }) => projectId === undefined || owner === projectId);
  const names = new Map(images.map(({ id, name }) => [id, name]));
  const described = images.map(async ({ id, name, status, visibility, properties }) => ({
    name,
    status,
    visibility,
    content: status === 'active' ? md5(await readAll(store, id)) : null,
    properties: [...properties]
      .filter(([key]) => !key.startsWith('os_glance_'))
      .map(([key, value]) => [
        key,
        /^(kernel|ramdisk)_id$/.test(key) ? (names.get(value) ?? `dangling ${value}`) : value,
      ])
      .sort(),
  }));
  const all = await Promise.all(described);
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}
