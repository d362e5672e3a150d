/** Images of partners that nobody looks after: without content for long, or gone without anybody saying so. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { toAllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { ImageStore, StoredImage } from '../../lproxy/imageStore.ts';
import type { PartnerImage } from '../../model/partnerImage.ts';
import type { Store } from '../../model/store.ts';
import { isMadeBy } from './marks.ts';
import type { Places } from './places.ts';
import type { Uploads } from './uploads.ts';

export interface TendingOptions {
  readonly store: Pick<Store, 'partnerImages' | 'leases'>;
  readonly places: Places;
  readonly uploads: Uploads;
  readonly clock: Clock;
  readonly log: Logger;
}

const lease = 'partner images';

/** One round over all of them; of several processes on one database one does it. */
export async function tendImages(options: TendingOptions): Promise<void> {
  const { store, places, log } = options;
  const byRegion = new Map<string, PartnerImage[]>();
  for (const noted of await store.partnerImages.list())
    byRegion.set(noted.region, [...(byRegion.get(noted.region) ?? []), noted]);
  if (byRegion.size === 0) return;
  const holder = randomUUID();
  try {
    for (const [region, noted] of byRegion) {
      if (!(await store.leases.acquire(lease, holder, partnerImageLimits.leaseMs))) return;
      try {
        await tendRegion(options, await places.storeOf(region), noted);
      } catch (thrown) {
        log.warn({ region, err: toAllianceError(thrown) }, 'Images of partners cannot be looked after now.');
      }
    }
  } finally {
    await store.leases.release(lease, holder);
  }
}

async function tendRegion(options: TendingOptions, glance: ImageStore, noted: readonly PartnerImage[]): Promise<void> {
  const there = new Map<string, StoredImage>();
  const ids = new Set(noted.map(({ imageId }) => imageId));
  // One listing costs Glance less than a question for each; what it does not show may have been made since.
  for await (const page of glance.list()) for (const image of page) if (ids.has(image.id)) there.set(image.id, image);
  for (const one of noted) {
    if (options.uploads.has(one)) continue;
    await tend(options, glance, one, there.get(one.imageId) ?? (await find(glance, one.imageId)));
  }
}

async function find(glance: ImageStore, id: string): Promise<StoredImage | undefined> {
  try {
    return await glance.get(id);
  } catch (thrown) {
    if (toAllianceError(thrown).errorName === 'image_not_found') return undefined;
    throw thrown;
  }
}

async function tend(
  { store, clock, log }: TendingOptions,
  glance: ImageStore,
  noted: PartnerImage,
  image: StoredImage | undefined,
): Promise<void> {
  const { partnerImages } = store;
  const { updatedAt, partnerUid, cloudId, region, imageId } = noted;
  const idleMs = clock.now() - updatedAt;
  const line = { partner: cloudId, region, image: imageId };
  if (!image || !isMadeBy(partnerUid, image)) {
    if (idleMs < partnerImageLimits.goneMs || !(await partnerImages.forget(noted, 'gone', updatedAt))) return;
    log.info(line, 'An image of a partner is not there any more.');
    return;
  }
  if (noted.state === 'stored') return;
  if (image.status === 'active' || image.status === 'deactivated') await partnerImages.stored(noted);
  else if (idleMs >= partnerImageLimits.openKeepMs) {
    // Another process may be at it.
    if ((await partnerImages.find(noted))?.updatedAt !== updatedAt) return;
    await glance.delete(imageId);
    await partnerImages.forget(noted, 'left_behind');
    log.info(line, 'An image of a partner whose content never came was removed.');
  }
}
