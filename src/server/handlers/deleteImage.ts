import type { PartnerHandler } from '../context.ts';
import { readReference } from './images.ts';

/** Deletes an image that the caller made, if it is there. */
export const deleteImage: PartnerHandler<'deleteImage'> = async ({ images }, reference, { partner }) => {
  await images.changer.delete(partner, readReference(reference));
};
