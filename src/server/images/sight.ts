/** What a partner sees: the filter of the operator, applied each time, and what the partner made itself. */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { PartnerImage } from '../../model/partnerImage.ts';
import type { Store } from '../../model/store.ts';
import { mayRead } from './access.ts';
import type { SeenImage } from './encode.ts';
import { isMadeBy } from './marks.ts';
import type { Place } from './places.ts';
import type { GlanceQueues } from './queues.ts';

export interface SightOptions {
  readonly store: Pick<Store, 'partnerImages'>;
  readonly queues: GlanceQueues;
}

/** Glance's ids are UUIDs by default, and may be whatever an operator's tools made them. */
const idForm = /^[\w.:-]{1,255}$/;

const notFound = (): AllianceError => new AllianceError('image_not_found', { field: 'id' });

export class ImageSight {
  readonly #options: SightOptions;
  /** Images whose content is read now: by partner, region and id. */
  readonly #lately = new Map<string, { readonly seen: Promise<StoredImage>; readonly until: number }>();

  constructor(options: SightOptions) {
    this.#options = options;
  }

  /** @throws AllianceError image_not_found, for one that may not be seen exactly as for one that is not there */
  async see(place: Place, id: string): Promise<SeenImage> {
    return this.#judge(place, await this.#get(place, id));
  }

  /** The same, of an image as it was a moment ago; what the operator says of it is as it is now. */
  async lately(place: Place, id: string): Promise<SeenImage> {
    const { partner, region } = place;
    const key = JSON.stringify([partner.uid, region, id]);
    const now = performance.now();
    const known = this.#lately.get(key);
    if (known && now < known.until) return this.#judgeKnown(place, key, known.seen);
    for (const [other, { until }] of this.#lately) if (until <= now) this.#lately.delete(other);
    const seen = this.#get(place, id);
    this.#lately.set(key, { seen, until: now + partnerImageLimits.knownMs });
    return this.#judgeKnown(place, key, seen);
  }

  /** Nothing is remembered of one that may not be seen: it would be refused sooner than one that is not there. */
  async #judgeKnown(place: Place, key: string, seen: Promise<StoredImage>): Promise<SeenImage> {
    try {
      return await this.#judge(place, await seen);
    } catch (thrown) {
      if (this.#lately.get(key)?.seen === seen) this.#lately.delete(key);
      throw thrown;
    }
  }

  /** Whether it may see such an image. */
  async has(place: Place, id: string): Promise<boolean> {
    try {
      await this.see(place, id);
      return true;
    } catch (thrown) {
      if (thrown instanceof AllianceError && thrown.errorName === 'image_not_found') return false;
      throw thrown;
    }
  }

  /** All that it may see of a region, in Glance's order. */
  async *all(place: Place, signal: AbortSignal): AsyncGenerator<SeenImage, void, undefined> {
    const { partner, region } = place;
    const { partnerImages } = this.#options.store;
    const noted = await partnerImages.list({ partnerUid: partner.uid, region });
    const ids = new Set(noted.map(({ imageId }) => imageId));
    for await (const page of this.#pages(place, signal))
      for (const image of page) {
        const yours = ids.has(image.id) && isMadeBy(partner.uid, image);
        if (yours || mayRead(place.rules, image)) yield { image, yours };
      }
  }

  /**
   * An image that the partner made, as it is in Glance, and as it is noted.
   *
   * @throws AllianceError image_refused for one that it sees and did not make, image_not_found for every other
   */
  async own(place: Place, id: string): Promise<{ readonly image: StoredImage; readonly noted: PartnerImage }> {
    const { partner, region, rules } = place;
    const image = await this.#get(place, id);
    const noted = await this.noted(place, id);
    if (noted && isMadeBy(partner.uid, image)) return { image, noted };
    const details = `${partner.cloudId} did not make image ${id} of region ${region}.`;
    throw mayRead(rules, image) ? new AllianceError('image_refused', { field: 'id', details }) : notFound();
  }

  /** As we noted it, if it is noted as the partner's. */
  async noted({ partner, region }: Place, imageId: string): Promise<PartnerImage | null> {
    const noted = await this.#options.store.partnerImages.find({ region, imageId });
    return noted?.partnerUid === partner.uid ? noted : null;
  }

  /** Each page has its turn among what else is asked on behalf of the partner. */
  async *#pages(
    { partner, store }: Place,
    signal: AbortSignal,
  ): AsyncGenerator<readonly StoredImage[], void, undefined> {
    const pages = store.list({ signal })[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.#options.queues.run(partner.uid, () => pages.next());
        if (done) return;
        yield value;
      }
    } finally {
      await pages.return?.();
    }
  }

  #get({ partner, store }: Place, id: string): Promise<StoredImage> {
    if (!idForm.test(id)) return Promise.reject(notFound());
    return this.#options.queues.run(partner.uid, () => store.get(id));
  }

  async #judge(place: Place, image: StoredImage): Promise<SeenImage> {
    if (isMadeBy(place.partner.uid, image) && (await this.noted(place, image.id))) return { image, yours: true };
    if (mayRead(place.rules, image)) return { image, yours: false };
    throw notFound();
  }
}
