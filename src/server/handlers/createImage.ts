import type { PartnerHandler } from '../context.ts';
import { readAttributes } from '../images/attributes.ts';
import { toWireImage } from '../images/encode.ts';
import { readReference } from './images.ts';

/** An image of the caller's, without content yet; the same id gives the same image. */
export const createImage: PartnerHandler<'createImage'> = async ({ images }, { image, attributes }, { partner }) =>
  toWireImage(await images.changer.create(partner, readReference(image), readAttributes(attributes)));
