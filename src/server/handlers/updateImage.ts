import type { PartnerHandler } from '../context.ts';
import { readAttributes, readRemoved } from '../images/attributes.ts';
import { toWireImage } from '../images/encode.ts';
import { readReference } from './images.ts';

/** Changes an image that the caller made. */
export const updateImage: PartnerHandler<'updateImage'> = async ({ images }, argument, { partner }) => {
  const said = readAttributes(argument.attributes);
  const removed = readRemoved(argument.removed_properties);
  return toWireImage(await images.changer.update(partner, readReference(argument.image), said, removed));
};
