import { partnerImageLimits } from '../../core/limits.ts';
import { ImageData, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { hold, readCount, readReference, readSize } from './images.ts';

/** A part of the content of an image that the caller may see. */
export const readImageData: PartnerHandler<'readImageData'> = async ({ images }, argument, call) => {
  const name = readReference(argument.image);
  const offset = readSize(argument.offset, 'offset');
  const lengthBytes = readCount(argument.length, 'length', partnerImageLimits.chunkBytes);
  hold(images.answers, call, lengthBytes);
  const { data, sizeBytes } = await images.read(call.partner, name, { offset, lengthBytes });
  return new ImageData({ data, size: toInt64(sizeBytes) });
};
