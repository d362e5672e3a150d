import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import { ImageReceipt, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { toWireImage } from '../images/encode.ts';
import { hold, readReference, readSize } from './images.ts';

/** A part of the content of an image that the caller made. */
export const writeImageData: PartnerHandler<'writeImageData'> = async ({ images }, argument, call) => {
  const { data } = argument;
  const { chunkBytes } = partnerImageLimits;
  if (data.length > chunkBytes)
    throw new AllianceError('bad_request', { field: 'data', details: `A chunk has at most ${chunkBytes} bytes.` });
  // The whole message is kept with it.
  hold(images.chunks, call, data.buffer.byteLength);
  const { received, image } = await images.write(call.partner, readReference(argument.image), {
    data,
    offset: readSize(argument.offset, 'offset'),
    sizeBytes: readSize(argument.size, 'size'),
  });
  return new ImageReceipt({
    received: toInt64(received),
    ...(image && { image: toWireImage({ image, yours: true }) }),
  });
};
