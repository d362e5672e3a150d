import { partnerImageLimits } from '../../core/limits.ts';
import { ImageData, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { readCount, readReference, readSize } from './images.ts';

/** A part of the content of an image that the caller may see. */
export const readImageData: PartnerHandler<'readImageData'> = async ({ images }, argument, { partner }) => {
  const { data, sizeBytes } = await images.read(partner, readReference(argument.image), {
    offset: readSize(argument.offset, 'offset'),
    lengthBytes: readCount(argument.length, 'length', partnerImageLimits.chunkBytes),
  });
  return new ImageData({ data, size: toInt64(sizeBytes) });
};
