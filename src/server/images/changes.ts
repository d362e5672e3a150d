/** Images that a partner makes, changes and deletes. It is noted whose an image is before there is one, and forgotten after it is gone. */
import type { Clock } from '../../core/clock.ts';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { Rates } from '../../core/rates.ts';
import type { ImageAttributes, StoredImage } from '../../lproxy/imageStore.ts';
import type { Partner } from '../../model/partner.ts';
import type { Store } from '../../model/store.ts';
import { mayRead } from './access.ts';
import { assertAllowed, changesOf, linksOf, newAttributes, type SaidAttributes } from './attributes.ts';
import type { SeenImage } from './encode.ts';
import type { ImageName } from './images.ts';
import { isMadeBy, ownerMark, ownerMarkOf } from './marks.ts';
import { type Place, type Places, quotaOf } from './places.ts';
import type { GlanceQueues } from './queues.ts';
import { noteRefusal } from './refusals.ts';
import type { ImageSight } from './sight.ts';
import { Turns } from './turns.ts';
import type { Uploads } from './uploads.ts';

export interface ChangesOptions {
  readonly store: Pick<Store, 'partnerImages' | 'audit'>;
  readonly queues: GlanceQueues;
  readonly places: Places;
  readonly sight: ImageSight;
  readonly uploads: Uploads;
  readonly rates: Pick<Rates, 'take'>;
  readonly clock: Clock;
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const isGone = (thrown: unknown): boolean => thrown instanceof AllianceError && thrown.errorName === 'image_not_found';

export class ImageChanger {
  readonly #options: ChangesOptions;
  /** By partner, region and id: what others ask of the same id is theirs, and waits for nobody. */
  readonly #turns = new Turns();

  constructor(options: ChangesOptions) {
    this.#options = options;
  }

  /** The same id gives the same image, however often it is asked for. */
  create(partner: Partner, name: ImageName, said: SaidAttributes): Promise<SeenImage> {
    return this.#change(partner, name, async (place) => {
      const { id } = name;
      if (!uuidForm.test(id))
        throw new AllianceError('bad_request', { field: 'id', details: 'An id is a UUID in lower case.' });
      const attributes = newAttributes(said);
      assertAllowed(place.rules, said);
      await this.#assertLinks(place, said);
      const { partnerImages } = this.#options.store;
      const key = { region: place.region, imageId: id };
      const noted = await partnerImages.add(partner, key, quotaOf(place.rules));
      try {
        return { image: await this.#make(place, id, attributes), yours: true };
      } catch (thrown) {
        // What may have been made all the same is found by the next attempt, or by housekeeping.
        if (noted.fresh && !toAllianceError(thrown).retryable) await this.#forgetRefused(place, id, noted.updatedAt);
        throw thrown;
      }
    });
  }

  update(partner: Partner, name: ImageName, said: SaidAttributes, removed: readonly string[]): Promise<SeenImage> {
    return this.#change(partner, name, async (place) => {
      const { image } = await this.#options.sight.own(place, name.id);
      assertAllowed(place.rules, said, removed);
      await this.#assertLinks(place, said);
      const changes = changesOf(said, removed, image);
      const changed = await this.#ask(place, () => place.store.update(name.id, changes));
      return { image: changed, yours: true };
    });
  }

  /** Without an error for one that is not there, and for one that the partner cannot know of. */
  delete(partner: Partner, name: ImageName): Promise<void> {
    return this.#change(partner, name, async (place) => {
      const { id } = name;
      const key = { region: place.region, imageId: id };
      const noted = await this.#options.sight.noted(place, id);
      const image = await this.#find(place, id);
      const made = image !== null && noted !== null && isMadeBy(partner.uid, image);
      if (image && !made && mayRead(place.rules, image))
        throw new AllianceError('image_refused', { field: 'id', details: `${partner.cloudId} did not make it.` });
      if (made) {
        this.#options.uploads.abort(place, id);
        await this.#ask(place, () => place.store.delete(id));
      }
      const { partnerImages } = this.#options.store;
      if (made) await partnerImages.forget(key, 'deleted');
      // One that is not there may still be on its way, by a request whose answer was lost; housekeeping forgets it when it is old.
      else if (image && noted) await partnerImages.forget(key, 'gone', noted.updatedAt);
    });
  }

  /** Another process may have been asked for the same, and have made it. */
  async #forgetRefused(place: Place, id: string, updatedAt: number): Promise<void> {
    // Where nobody can tell whether there is one, the row stays for `tend`.
    const image = await this.#find(place, id).catch(() => undefined);
    if (image === undefined || (image && isMadeBy(place.partner.uid, image))) return;
    await this.#options.store.partnerImages.forget({ region: place.region, imageId: id }, 'refused', updatedAt);
  }

  /** An image of that id that is not this partner's may be there although nobody noted it: then it is not touched. */
  async #make(place: Place, id: string, attributes: ImageAttributes): Promise<StoredImage> {
    const { partner, store } = place;
    const properties = new Map([...attributes.properties, [ownerMark, ownerMarkOf(partner.uid, id)]]);
    const image =
      (await this.#find(place, id)) ?? (await this.#ask(place, () => store.create(id, { ...attributes, properties })));
    if (!isMadeBy(partner.uid, image))
      throw new AllianceError('image_conflict', { field: 'id', details: 'The id is taken.' });
    return image;
  }

  async #find(place: Place, id: string): Promise<StoredImage | null> {
    try {
      return await this.#ask(place, () => place.store.get(id));
    } catch (thrown) {
      if (isGone(thrown)) return null;
      throw thrown;
    }
  }

  #ask<T>({ partner }: Place, work: () => Promise<T>): Promise<T> {
    return this.#options.queues.run(partner.uid, work);
  }

  /** A kernel runs with the image that names it, and must be of the same maker. @throws AllianceError image_refused */
  async #assertLinks(place: Place, said: SaidAttributes): Promise<void> {
    for (const id of new Set(linksOf(said))) {
      if (await this.#isOwn(place, id)) continue;
      const details = `${place.partner.cloudId} did not make image ${id}, so none of its images may use it.`;
      throw new AllianceError('image_refused', { field: 'properties', details });
    }
  }

  /** By note and mark: what is only noted may be an image of somebody else's that the partner named. */
  async #isOwn(place: Place, id: string): Promise<boolean> {
    const { sight } = this.#options;
    if (!(await sight.noted(place, id))) return false;
    const image = await this.#find(place, id);
    return image !== null && isMadeBy(place.partner.uid, image);
  }

  /** Whatever comes of it, it costs Glance something; and what is refused leaves a record. */
  async #change<T>(partner: Partner, { region, id }: ImageName, work: (place: Place) => Promise<T>): Promise<T> {
    const { rates, clock, places } = this.#options;
    const { changesPerS: perS, changesBurst: burst } = partnerImageLimits;
    const retryAfterMs = rates.take(`images:${partner.uid}`, { perS, burst }, clock.now());
    if (retryAfterMs > 0) throw new AllianceError('rate_limited', { retryAfterMs, details: 'Too many images.' });
    const place = await places.find(partner, region, 'write');
    try {
      return await this.#turns.run(JSON.stringify([partner.uid, place.region, id]), () => work(place));
    } catch (thrown) {
      await noteRefusal(this.#options.store, place, id, thrown);
      throw thrown;
    }
  }
}
