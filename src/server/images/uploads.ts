/** Contents that partners write: one upload for each image, found again by whatever connection its next chunk comes. */
import type { Clock } from '../../core/clock.ts';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import type { PartnerUid } from '../../core/ids.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { PartnerImage } from '../../model/partnerImage.ts';
import type { Store } from '../../model/store.ts';
import { type Place, quotaOf } from './places.ts';
import { noteRefusal } from './refusals.ts';
import type { ImageSight } from './sight.ts';
import { type Receipt, Upload } from './upload.ts';

export interface UploadsOptions {
  readonly store: Pick<Store, 'partnerImages' | 'audit'>;
  readonly sight: ImageSight;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether the partner may write images of the region now. */
  readonly mayWrite: (uid: PartnerUid, region: string) => boolean;
}

export interface UploadChunk {
  readonly offset: number;
  readonly data: Buffer;
  /** Of the whole content. */
  readonly sizeBytes: number;
}

interface Open {
  readonly partnerUid: PartnerUid;
  readonly region: string;
  /** A receipt where there is nothing to upload any more. */
  readonly opening: Promise<Upload | Receipt>;
  /** Ends it, also while it opens. */
  readonly ending: AbortController;
  touchedAt: number;
}

const noLonger = (): AllianceError =>
  new AllianceError('not_exported', { details: 'The partner may not write images any more.' });

const keyOf = (...parts: readonly [uid: PartnerUid, region: string, id: string]): string => JSON.stringify(parts);

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #open = new Map<string, Open>();

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** Whether the content of an image is on its way. */
  has({ partnerUid, region, imageId }: Pick<PartnerImage, 'partnerUid' | 'region' | 'imageId'>): boolean {
    return this.#open.has(keyOf(partnerUid, region, imageId));
  }

  async take(place: Place, id: string, chunk: UploadChunk): Promise<Receipt> {
    const { partner, region } = place;
    const known = this.#open.get(keyOf(partner.uid, region, id));
    if (!known && chunk.offset > 0) return this.#standing(place, id, chunk);
    const open = known ?? this.#begin(place, id, chunk);
    const upload = await open.opening;
    if (!(upload instanceof Upload)) return upload;
    if (upload.sizeBytes !== chunk.sizeBytes)
      throw new AllianceError('bad_request', { field: 'size', details: 'The size is another one than before.' });
    await this.#touch(open, region, id);
    return upload.take(chunk);
  }

  abort({ partner, region }: Pick<Place, 'partner' | 'region'>, id: string): void {
    const details = 'The image was deleted.';
    const error = new AllianceError('image_not_found', { field: 'id', details });
    this.#open.get(keyOf(partner.uid, region, id))?.ending.abort(error);
  }

  /** Ends those of partners that may not write there any more. */
  review(isAllowed: (uid: PartnerUid, region: string) => boolean): void {
    for (const { partnerUid, region, ending } of [...this.#open.values()])
      if (!isAllowed(partnerUid, region)) ending.abort(noLonger());
  }

  close(): void {
    for (const { ending } of [...this.#open.values()])
      ending.abort(new AllianceError('shutting_down', { retryAfterMs: 1000 }));
  }

  /** Of an upload that is not under way: it is done, or has to begin again. */
  async #standing(place: Place, id: string, { sizeBytes }: UploadChunk): Promise<Receipt> {
    const { image } = await this.#options.sight.own(place, id);
    return image.status === 'active' && image.sizeBytes === sizeBytes
      ? { received: sizeBytes, image }
      : { received: 0 };
  }

  /** At once, before anything is looked up: the next chunks are right behind this one. */
  #begin(place: Place, id: string, chunk: UploadChunk): Open {
    const { partner, region } = place;
    let count = 0;
    for (const { partnerUid } of this.#open.values()) if (partnerUid === partner.uid) count++;
    if (count >= partnerImageLimits.uploadsPerPartner)
      throw new AllianceError('overloaded', {
        details: 'The partner writes too many images at a time.',
        retryAfterMs: 1000,
      });
    const key = keyOf(partner.uid, region, id);
    const ending = new AbortController();
    const forget = (): void => {
      if (this.#open.get(key) === open) this.#open.delete(key);
    };
    const opening = this.#start(place, id, chunk, { signal: ending.signal, onEnd: forget });
    const open: Open = { partnerUid: partner.uid, region, ending, touchedAt: performance.now(), opening };
    this.#open.set(key, open);
    opening.then((upload) => {
      if (!(upload instanceof Upload)) forget();
    }, forget);
    return open;
  }

  async #start(
    place: Place,
    id: string,
    { sizeBytes }: UploadChunk,
    { signal, onEnd }: { readonly signal: AbortSignal; readonly onEnd: () => void },
  ): Promise<Upload | Receipt> {
    const { store: database, sight, log } = this.#options;
    const { partner, region, store, rules } = place;
    const key = { region, imageId: id };
    try {
      const { image } = await sight.own(place, id);
      if (image.status === 'active' && image.sizeBytes === sizeBytes) {
        await database.partnerImages.stored(key, sizeBytes);
        return { received: sizeBytes, image };
      }
      if (image.status !== 'queued')
        throw new AllianceError('image_conflict', { details: `The image is ${image.status}.` });
      await database.partnerImages.reserve(key, sizeBytes, quotaOf(rules));
      signal.throwIfAborted();
      const upload = new Upload({
        store,
        id,
        diskFormat: image.diskFormat,
        sizeBytes,
        onLast: () => {
          if (!this.#options.mayWrite(partner.uid, region)) throw noLonger();
        },
        onStored: async () => {
          if (await database.partnerImages.stored(key, sizeBytes)) return;
          // It was deleted meanwhile; a content that is nobody's would be counted by nobody.
          await store.delete(id);
          throw new AllianceError('image_not_found', { field: 'id', details: 'The image was deleted.' });
        },
        onEnd: (failure) => {
          onEnd();
          if (failure === undefined) return;
          const error = toAllianceError(failure);
          log.info({ partner: partner.cloudId, region, image: id, err: error }, "A partner's upload ended.");
          noteRefusal(database, place, id, error).catch((thrown: unknown) =>
            log.warn({ err: toAllianceError(thrown) }, 'The end of an upload was not recorded.'),
          );
        },
      });
      signal.addEventListener('abort', () => upload.abort(signal.reason), { once: true });
      return upload;
    } catch (thrown) {
      await noteRefusal(database, place, id, thrown);
      throw thrown;
    }
  }

  /** So that housekeeping, of another process too, does not take it for one that was left behind. */
  async #touch(open: Open, region: string, imageId: string): Promise<void> {
    const now = performance.now();
    if (now - open.touchedAt < partnerImageLimits.touchMs) return;
    open.touchedAt = now;
    await this.#options.store.partnerImages.touch({ region, imageId });
  }
}
