/** Properties by which an image says whose it is. */
import type { PartnerUid } from '../../core/ids.ts';
import { lengthPrefixed, sha256 } from '../../crypto/bytes.ts';
import { partnerMarkPrefix, type StoredImage } from '../../lproxy/imageStore.ts';

/** On each image that was made for a partner. */
export const ownerMark = 'alliance_partner';

/**
 * What stands there: of one partner and one image, so that no copy has it. Nobody outside can say it beforehand: the uid of a partner is
 * random and told to nobody. So an image of somebody else's is never taken for a partner's, whatever id the partner names.
 */
export const ownerMarkOf = (uid: PartnerUid, imageId: string): string =>
  sha256('alliance/1 image', lengthPrefixed(uid), lengthPrefixed(imageId)).toString('hex').slice(0, 32);

export const isMadeBy = (uid: PartnerUid, { id, properties }: Pick<StoredImage, 'id' | 'properties'>): boolean =>
  properties.get(ownerMark) === ownerMarkOf(uid, id);

/** What the partner's broker notes on an image of its own, such as that it is not finished. */
export const isPartnerMark = (key: string): boolean => key.startsWith(partnerMarkPrefix);
