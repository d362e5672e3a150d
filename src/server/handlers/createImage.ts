import { partnerImageLimits } from '../../core/limits.ts';
import type { PartnerHandler } from '../context.ts';
import { readAttributes } from '../images/attributes.ts';
import { toWireImage } from '../images/encode.ts';
import { hold, readReference } from './images.ts';

/** An image of the caller's, without content yet; the same id gives the same image. */
export const createImage: PartnerHandler<'createImage'> = async ({ images }, { image, attributes }, call) => {
  const name = readReference(image);
  const said = readAttributes(attributes);
  hold(images.answers, call, partnerImageLimits.imageBytes);
  return toWireImage(await images.changer.create(call.partner, name, said));
};
