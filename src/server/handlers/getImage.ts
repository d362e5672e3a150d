import { partnerImageLimits } from '../../core/limits.ts';
import type { PartnerHandler } from '../context.ts';
import { toWireImage } from '../images/encode.ts';
import { hold, readReference } from './images.ts';

/** One image that the caller may see. */
export const getImage: PartnerHandler<'getImage'> = async ({ images }, reference, call) => {
  const name = readReference(reference);
  hold(images.answers, call, partnerImageLimits.imageBytes);
  return toWireImage(await images.get(call.partner, name));
};
