import { partnerImageLimits } from '../../core/limits.ts';
import { ImagePage } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { toWireImage } from '../images/encode.ts';
import { hold, readCount } from './images.ts';

/** Images that the caller may see, in pages of one listing. */
export const listImages: PartnerHandler<'listImages'> = async ({ images }, { region, after, limit }, call) => {
  const most = readCount(limit, 'limit', partnerImageLimits.pageImages);
  hold(images.answers, call, partnerImageLimits.pageBytes);
  const page = await images.list(call.partner, { region, after, limit: most });
  return new ImagePage({
    images: page.images.map(toWireImage),
    ...(page.nextAfter !== null && { next_after: page.nextAfter }),
  });
};
