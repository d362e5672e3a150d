/** What a partner publishes of itself: its certificates, and the keys of its Keystone's tokens. */
import { formatFingerprint } from '../crypto/certificate.ts';
import type { Partner } from '../model/partner.ts';
import type { PublishedTokenKey } from '../model/tokenKey.ts';
import { readTrustBundle } from '../rproxy/identity.ts';
import type { Installation } from './installation.ts';

/** Reads it, and tells what is not as it should be. */
export async function followBundle(installation: Installation, partner: Partner): Promise<void> {
  const { pool, store, log, telemetry, ownTokenKeys } = installation;
  await ownTokenKeys.list();
  const isOwn = (key: PublishedTokenKey) => ownTokenKeys.signers.isOwn(key);
  const { announced, refusedTokenKeys } = await readTrustBundle(pool, store, partner, isOwn);
  const { cloudId } = partner;
  if (!announced) log.warn({ partner: cloudId }, 'The partner publishes a key that it has not announced to us.');
  for (const { thumbprint } of refusedTokenKeys) {
    telemetry.refusal('token_key_known');
    const key = formatFingerprint(thumbprint);
    log.error({ partner: cloudId, key }, "The partner publishes a key of tokens that is another cloud's already.");
  }
}
