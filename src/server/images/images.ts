/** Images of this cloud for partners: what each may see, and what it made. Handlers decode, ask this, and encode. */
import type { Clock } from '../../core/clock.ts';
import type { Config } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { Rates } from '../../core/rates.ts';
import type { GlanceRegions } from '../../lproxy/glanceRegions.ts';
import type { Partner } from '../../model/partner.ts';
import type { Store } from '../../model/store.ts';
import { ByteShares } from '../byteShares.ts';
import { ImageChanger } from './changes.ts';
import type { SeenImage } from './encode.ts';
import type { ListedPage } from './listings.ts';
import { Listings } from './listings.ts';
import { Places } from './places.ts';
import { GlanceQueues } from './queues.ts';
import { Reads } from './reads.ts';
import { ImageSight } from './sight.ts';
import { tendImages } from './tending.ts';
import type { Receipt } from './upload.ts';
import { Uploads } from './uploads.ts';

export interface ImagesOptions {
  readonly store: Pick<Store, 'partners' | 'partnerImages' | 'audit' | 'leases'>;
  readonly config: () => Pick<Config, 'partners'>;
  /** This cloud's own; undefined where no Keystone is configured. */
  readonly glance: Pick<GlanceRegions, 'regions' | 'projectId' | 'store'> | undefined;
  /** The region that this broker stands beside; undefined: the only one of the catalog. */
  readonly homeRegion: string | undefined;
  /** The partner, while it is one that is trusted. */
  readonly trusted: (uid: string) => Partner | undefined;
  readonly rates: Pick<Rates, 'take'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** One image, as a partner names it. */
export interface ImageName {
  /** Undefined: the region that this broker stands beside. */
  readonly region: string | undefined;
  readonly id: string;
}

export interface ContentRange {
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface ContentPart {
  readonly data: Buffer;
  /** Of the whole content. */
  readonly sizeBytes: number;
}

/** All throw what the IDL says of their methods. */
export class ImageService {
  readonly #options: ImagesOptions;
  readonly #places: Places;
  readonly #sight: ImageSight;
  readonly #listings = new Listings();
  readonly #reads = new Reads();
  readonly #uploads: Uploads;
  /** Makes, changes and deletes. */
  readonly changer: ImageChanger;
  /** What is held of answers that partners have not taken, and of chunks that are not answered. */
  readonly answers = new ByteShares(partnerImageLimits.heldBytes);
  readonly chunks = new ByteShares(partnerImageLimits.heldBytes);

  constructor(options: ImagesOptions) {
    this.#options = options;
    const queues = new GlanceQueues();
    this.#places = new Places(options);
    this.#sight = new ImageSight({ ...options, queues });
    this.#uploads = new Uploads({
      ...options,
      sight: this.#sight,
      mayWrite: (uid, region) => this.#mayUse(uid, region, 'write'),
    });
    this.changer = new ImageChanger({
      ...options,
      queues,
      places: this.#places,
      sight: this.#sight,
      uploads: this.#uploads,
    });
  }

  async list(
    partner: Partner,
    { region, after, limit }: { region: string | undefined; after: string | undefined; limit: number },
  ): Promise<ListedPage> {
    const place = await this.#places.find(partner, region, 'any');
    const question = { region: place.region, rules: place.rules, after, limit };
    return this.#listings.page(partner.uid, question, {
      all: (signal) => this.#sight.all(place, signal),
      has: (id) => this.#sight.has(place, id),
    });
  }

  async get(partner: Partner, { region, id }: ImageName): Promise<SeenImage> {
    return this.#sight.see(await this.#places.find(partner, region, 'any'), id);
  }

  async read(partner: Partner, { region, id }: ImageName, { offset, lengthBytes }: ContentRange): Promise<ContentPart> {
    const place = await this.#places.find(partner, region, 'any');
    const { image } = await this.#sight.lately(place, id);
    const { status, sizeBytes } = image;
    if (status !== 'active' || sizeBytes === null)
      throw new AllianceError('image_conflict', { details: `The image is ${status}.` });
    if (offset >= sizeBytes) return { data: Buffer.alloc(0), sizeBytes };
    const onOpen = () => this.#noteRead(partner, place.region, id);
    const question = { store: place.store, region: place.region, id, sizeBytes, offset, lengthBytes, onOpen };
    return { data: await this.#reads.read(partner.uid, question), sizeBytes };
  }

  async write(
    partner: Partner,
    { region, id }: ImageName,
    chunk: { readonly offset: number; readonly data: Buffer; readonly sizeBytes: number },
  ): Promise<Receipt> {
    const place = await this.#places.find(partner, region, 'write');
    return this.#uploads.take(place, id, chunk);
  }

  /** What is left behind is removed, and what is gone forgotten. */
  tend(): Promise<void> {
    return tendImages({ ...this.#options, places: this.#places, uploads: this.#uploads });
  }

  /** Ends what partners are in the middle of and may not do any more; after changes of trust or configuration. */
  review(): void {
    this.#reads.review((uid, region) => this.#mayUse(uid, region, 'any'));
    this.#uploads.review((uid, region) => this.#mayUse(uid, region, 'write'));
  }

  #mayUse(uid: string, region: string, use: 'any' | 'write'): boolean {
    const partner = this.#options.trusted(uid);
    if (!partner) return false;
    const rules = this.#places.rulesOf(partner);
    const isOn = use === 'write' ? rules.write : rules.read || rules.write;
    return isOn && (rules.regions.length === 0 || rules.regions.includes(region));
  }

  close(): void {
    this.#listings.close();
    this.#reads.close();
    this.#uploads.close();
  }

  /** Reading costs nobody anything that would have to be counted; but who has copies of which images may matter later. */
  async #noteRead({ cloudId }: Partner, region: string, id: string): Promise<void> {
    await this.#options.store.audit.note({
      kind: 'image',
      actor: 'partner',
      partner: cloudId,
      subject: id,
      outcome: 'read',
      rule: null,
      requestId: null,
      details: { region },
    });
  }
}
