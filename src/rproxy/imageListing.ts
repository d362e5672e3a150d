/** All images of a partner, page by page: each once, and an end. A partner may say what it likes, but not for ever, nor without bounds. */
import { AllianceError } from '../core/errors.ts';
import { partnerImageLimits } from '../core/limits.ts';
import type { StoreCall, StoredImage } from '../lproxy/imageStore.ts';
import { ImageQuery } from '../wire/types.ts';
import type { ImageCalls } from './imageContent.ts';
import { malformed, readImage } from './imageReading.ts';

const { pageImages: limit, pages, listingImages, listingBytes } = partnerImageLimits;

export interface ListingOptions {
  /** One of the partner's; absent: the one that its broker stands beside. */
  readonly region?: string;
  /** How long one listing may take; absent: `listingMs` of the limits. */
  readonly listingMs?: number;
}

/** @throws AllianceError wire_malformed for what is no listing, or too much; deadline_exceeded */
export async function* listPartnerImages(
  { call }: ImageCalls,
  { region, listingMs = partnerImageLimits.listingMs }: ListingOptions,
  { signal }: StoreCall,
): AsyncGenerator<readonly StoredImage[], void, undefined> {
  const endAt = performance.now() + listingMs;
  const seen = new Set<string>();
  let bytes = 0;
  let after: string | undefined;
  for (let page = 0; page < pages; page++) {
    const query = new ImageQuery({
      limit,
      ...(region !== undefined && { region }),
      ...(after !== undefined && { after }),
    });
    const { images, next_after: next } = await call('listImages', query, signal);
    if (images.length > limit) throw malformed('images', 'There are more images on the page than were asked for.');
    const read = images.map((image) => readImage(image));
    for (const image of read) {
      if (seen.has(image.id)) throw malformed('images', 'An image is there twice.');
      seen.add(image.id);
      bytes += textBytes(image);
    }
    if (seen.size > listingImages) throw malformed('images', `There are more than ${listingImages} images.`);
    if (bytes > listingBytes) throw malformed('images', `The images have more than ${listingBytes} bytes of texts.`);
    if (read.length > 0) yield read;
    if (next === undefined) return;
    if (next !== read.at(-1)?.id)
      throw malformed('next_after', 'The next page begins behind another image than the last one.');
    if (performance.now() > endAt)
      throw new AllianceError('deadline_exceeded', { details: 'The listing of the images does not come to its end.' });
    after = next;
  }
  throw malformed('next_after', `There are more than ${pages} pages.`);
}

/** About what an image takes while the listing is held. */
function textBytes({ id, name, owner, tags, properties }: StoredImage): number {
  let length = id.length + Buffer.byteLength(name) + Buffer.byteLength(owner);
  for (const tag of tags) length += Buffer.byteLength(tag);
  for (const [key, value] of properties) length += Buffer.byteLength(key) + Buffer.byteLength(value);
  return length;
}
