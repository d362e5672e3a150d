/** Images of partners that nobody looks after: without content for long, gone without anybody saying so, or there without anybody knowing. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { toAllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { ImageStore, StoredImage } from '../../lproxy/imageStore.ts';
import type { Partner } from '../../model/partner.ts';
import type { PartnerImage, PartnerImageKey } from '../../model/partnerImage.ts';
import type { Store } from '../../model/store.ts';
import { isMadeBy, ownerMark } from './marks.ts';
import type { Places } from './places.ts';
import type { Uploads } from './uploads.ts';

export interface TendingOptions {
  readonly store: Pick<Store, 'partners' | 'partnerImages' | 'leases'>;
  readonly places: Places;
  readonly uploads: Uploads;
  readonly clock: Clock;
  readonly log: Logger;
}

const lease = 'partner images';

/** One round over all of them; of several processes on one database one does it. */
export async function tendImages(options: TendingOptions): Promise<void> {
  const { store, places, log } = options;
  const partners = await store.partners.list();
  const byRegion = new Map<string, PartnerImage[]>();
  for (const partner of partners) for (const region of await places.writable(partner)) byRegion.set(region, []);
  for (const noted of await store.partnerImages.list())
    byRegion.set(noted.region, [...(byRegion.get(noted.region) ?? []), noted]);
  if (byRegion.size === 0) return;
  const holder = randomUUID();
  try {
    for (const [region, noted] of byRegion) {
      if (!(await store.leases.acquire(lease, holder, partnerImageLimits.leaseMs))) return;
      try {
        const glance = await places.storeOf(region);
        await tendRegion(options, glance, noted, { region, partners });
      } catch (thrown) {
        log.warn({ region, err: toAllianceError(thrown) }, 'Images of partners cannot be looked after now.');
      }
    }
  } finally {
    await store.leases.release(lease, holder);
  }
}

async function tendRegion(
  options: TendingOptions,
  glance: ImageStore,
  noted: readonly PartnerImage[],
  { region, partners }: { readonly region: string; readonly partners: readonly Partner[] },
): Promise<void> {
  const there = new Map<string, StoredImage>();
  const unknown: [id: string, partner: Partner][] = [];
  const ids = new Set(noted.map(({ imageId }) => imageId));
  // One listing costs Glance less than a question for each; what it does not show may have been made since.
  for await (const page of glance.list())
    for (const image of page) {
      const maker = image.properties.has(ownerMark) && partners.find(({ uid }) => isMadeBy(uid, image));
      if (ids.has(image.id)) there.set(image.id, image);
      else if (maker) unknown.push([image.id, maker]);
    }
  for (const [imageId, partner] of unknown) await adopt(options, glance, { region, imageId }, partner);
  for (const one of noted) {
    if (options.uploads.has(one)) continue;
    await tend(options, glance, one, there.get(one.imageId) ?? (await find(glance, one.imageId)));
  }
}

/**
 * Made for a partner, and not noted: by a request that outlived everybody who knew of it, or noted in a database that is not there any
 * more. It counts for its partner, even beyond the quota, and then goes the way of all others.
 */
async function adopt(
  { store, log }: TendingOptions,
  glance: ImageStore,
  key: PartnerImageKey,
  partner: Partner,
): Promise<void> {
  const { partnerImages } = store;
  // Noted or gone since it was listed.
  if (await partnerImages.find(key)) return;
  const image = await find(glance, key.imageId);
  if (!image) return;
  await partnerImages.add(partner, key, { images: Infinity, bytes: Infinity });
  if (hasContent(image)) await partnerImages.stored(key, image.sizeBytes ?? undefined);
  log.warn(
    { partner: partner.cloudId, image: key.imageId, region: key.region },
    'An image of a partner was not noted.',
  );
}

const hasContent = ({ status }: StoredImage): boolean => status === 'active' || status === 'deactivated';

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
  if (hasContent(image)) await partnerImages.stored(noted, image.sizeBytes ?? undefined);
  else if (idleMs >= partnerImageLimits.openKeepMs) {
    // Another process may be at it.
    if ((await partnerImages.find(noted))?.updatedAt !== updatedAt) return;
    await glance.delete(imageId);
    await partnerImages.forget(noted, 'left_behind');
    log.info(line, 'An image of a partner whose content never came was removed.');
  }
}
