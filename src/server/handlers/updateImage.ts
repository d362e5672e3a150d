import { partnerImageLimits } from '../../core/limits.ts';
import type { PartnerHandler } from '../context.ts';
import { readAttributes, readRemoved } from '../images/attributes.ts';
import { toWireImage } from '../images/encode.ts';
import { hold, readReference } from './images.ts';

/** Changes an image that the caller made. */
export const updateImage: PartnerHandler<'updateImage'> = async ({ images }, argument, call) => {
  const said = readAttributes(argument.attributes);
  const removed = readRemoved(argument.removed_properties);
  hold(images.answers, call, partnerImageLimits.imageBytes);
  return toWireImage(await images.changer.update(call.partner, readReference(argument.image), said, removed));
};
