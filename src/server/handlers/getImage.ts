import type { PartnerHandler } from '../context.ts';
import { toWireImage } from '../images/encode.ts';
import { readReference } from './images.ts';

/** One image that the caller may see. */
export const getImage: PartnerHandler<'getImage'> = async ({ images }, reference, { partner }) =>
  toWireImage(await images.get(partner, readReference(reference)));
