/** The third part of the demo: images of east come to west through both brokers. */
import { randomBytes, randomUUID } from 'node:crypto';
import { openImageEnds } from '../broker/imageEnds.ts';
import { ImageRuns, plainOptions } from '../broker/imageRuns.ts';
import { createGlanceRegions, type GlanceRegions } from '../lproxy/glanceRegions.ts';
import type { ImageStore, StoredImage } from '../lproxy/imageStore.ts';
import type { SyncReport } from '../sync/images/syncTypes.ts';
import type { DemoCloud } from './demoCloud.ts';
import { expect, type Step } from './demoStory.ts';
import { type SyncProgress, sizeText } from './imageProgress.ts';
import { formatDuration } from './text.ts';

const mib = 1024 * 1024;

/** What an operator of a cloud sees of its Glance. */
async function withStore<T>({ keystone }: DemoCloud, work: (store: ImageStore) => Promise<T>): Promise<T> {
  const admin = { name: 'admin', domain: { name: 'Default' } };
  const regions: GlanceRegions = createGlanceRegions({
    authUrl: keystone.url,
    credentials: { method: 'password', user: admin, password: keystone.adminPassword },
    scope: { project: { name: 'admin', domain: { name: 'Default' } } },
  });
  try {
    return await work(await regions.store(keystone.region));
  } finally {
    await regions.close();
  }
}

interface Wanted {
  readonly name: string;
  readonly format: string;
  readonly sizeBytes: number;
  readonly properties?: Readonly<Record<string, string>>;
}

async function put(store: ImageStore, { name, format, sizeBytes, properties = {} }: Wanted): Promise<StoredImage> {
  const { id } = await store.create(randomUUID(), {
    name,
    visibility: 'public',
    diskFormat: format,
    containerFormat: format === 'raw' ? 'bare' : format,
    minDiskGib: 0,
    minRamMib: 0,
    protected: false,
    hidden: false,
    tags: [],
    properties: new Map(Object.entries(properties)),
  });
  async function* content(): AsyncGenerator<Buffer> {
    for (let left = sizeBytes; left > 0; left -= mib) yield randomBytes(Math.min(mib, left));
  }
  return store.write(id, content(), sizeBytes);
}

async function imagesOf(cloud: DemoCloud): Promise<Map<string, StoredImage>> {
  return withStore(cloud, async (store) => {
    const found = new Map<string, StoredImage>();
    for await (const page of store.list()) for (const image of page) found.set(image.name, image);
    return found;
  });
}

/** Partners exist by then. `startProgress`: where there is a terminal to show it on. */
export function tellImageStory(
  east: DemoCloud,
  west: DemoCloud,
  startProgress: () => SyncProgress | undefined,
): Step[] {
  async function sync(): Promise<SyncReport> {
    const { installation } = west.broker;
    const runs = new ImageRuns(installation);
    const query = { from: 'east', words: [], condition: null };
    const progress = startProgress();
    try {
      const { ended } = await runs.begin(await openImageEnds(installation, query), {
        ...{ trigger: 'manual', query, options: plainOptions, bwlimit: null },
        ...(progress && { onEvent: (event) => progress.take(event) }),
      });
      const report = await ended;
      expect(report?.state === 'done', `the sync is ${report?.state}`);
      return report!;
    } finally {
      progress?.stop();
    }
  }
  return [
    {
      title: 'east has images: a large one, and one that boots with a kernel of its own',
      run: async () => {
        await withStore(east, async (store) => {
          const kernel = await put(store, { name: 'tiny-kernel', format: 'aki', sizeBytes: 4 * mib });
          await put(store, { name: 'tiny', format: 'ami', sizeBytes: mib, properties: { kernel_id: kernel.id } });
          await put(store, { name: 'large', format: 'raw', sizeBytes: 16 * mib, properties: { os_distro: 'debian' } });
        });
        return "in east's Glance, whose credentials never leave east";
      },
    },
    {
      title: 'west syncs the images of east',
      run: async () => {
        const { regions, sentBytes, startedAt, endedAt } = await sync();
        const tasks = regions.flatMap((region) => region.tasks);
        expect(tasks.length === 3, `${tasks.length} images were sent`);
        const seconds = Math.max(1, endedAt - startedAt) / 1000;
        const rate = sizeText(sentBytes / seconds);
        return `${tasks.length} images, ${sizeText(sentBytes)} at ${rate}/s, sealed on the way, and in no file`;
      },
    },
    {
      title: 'they are the same on both sides',
      run: async () => {
        const [there, here] = await Promise.all([imagesOf(east), imagesOf(west)]);
        for (const [name, { hash }] of there)
          expect(hash !== null && hash.value === here.get(name)?.hash?.value, `${name} differs`);
        const kernel = here.get('tiny')?.properties.get('kernel_id');
        expect(kernel === here.get('tiny-kernel')?.id, 'the kernel is not the one of west');
        return `${here.size} hashes (sha512) are equal, and the kernel_id is west's`;
      },
    },
    {
      title: 'west syncs once more',
      run: async () => {
        const from = performance.now();
        const { sentBytes } = await sync();
        expect(sentBytes === 0, `${sentBytes} bytes were sent`);
        return `nothing to do, known after ${formatDuration(performance.now() - from)}`;
      },
    },
  ];
}
