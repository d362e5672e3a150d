/** Who a partner's users are here: ids that stay the same as long as the partner does, in a domain that no local user has. */
import { createHash } from 'node:crypto';
import type { PartnerUid } from '../core/ids.ts';
import { lengthPrefixed } from '../crypto/bytes.ts';
import type { Partner } from '../model/partner.ts';

const derive = (label: string, ...parts: string[]): string => {
  const hash = createHash('sha256').update(label);
  for (const part of parts) hash.update(lengthPrefixed(part));
  return hash.digest('hex');
};

/** 64 hexadecimal digits, as ids of Keystone's federated users are. Ids that Keystone makes of others have 32. */
export const foreignUserId = (partnerUid: PartnerUid, userId: string): string =>
  derive('alliance/1 user', partnerUid, userId);

/** The domain of all users of a partner. */
export const foreignDomain = ({ uid, cloudId }: Pick<Partner, 'uid' | 'cloudId'>) => ({
  id: derive('alliance/1 domain', uid),
  name: `alliance:${cloudId}`,
});

/** Id of what a partner shows in the catalog: it cannot be that of anything local. */
export const foreignCatalogId = (partnerUid: PartnerUid, kind: 'service' | 'endpoint', id: string): string =>
  derive(`alliance/1 ${kind}`, partnerUid, id).slice(0, 32);
