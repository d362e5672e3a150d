/** Identities between partners: tell ours, and look at what they publish of theirs. */
import { createRotation } from '../channel/rotation.ts';
import type { ClientPool } from '../client/pool.ts';
import type { OwnIdentity } from '../client/trustView.ts';
import { AllianceError } from '../core/errors.ts';
import { identityLimits, tokenKeyLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { readCertificate } from '../crypto/certificate.ts';
import { readTokenKey, type TokenKey } from '../crypto/tokenKey.ts';
import type { Partner } from '../model/partner.ts';
import type { Store } from '../model/store.ts';
import type { PublishedTokenKey } from '../model/tokenKey.ts';
import { RotationStatement, type TokenSigningKey, toNumber } from '../wire/types.ts';

/** Tells a partner of our new identity, over a channel of the old one. Throws unless it now expects the new key. */
export async function tellIdentity(
  pool: ClientPool,
  partner: Partner,
  former: OwnIdentity,
  current: OwnIdentity,
): Promise<void> {
  const { payload, oldSignature, newSignature } = await createRotation({
    oldIdentity: former.identity,
    newIdentity: current.identity,
    audience: partner.cloudId,
    sequence: current.sequence,
    notBefore: current.identity.notBefore,
    overlapTill: former.overlapTill ?? current.identity.notAfter,
  });
  const statement = new RotationStatement({ payload, old_signature: oldSignature, new_signature: newSignature });
  const receipt = await pool.call(partner, 'updateIdentity', statement);
  if (!equalBytes(receipt.fingerprint, current.identity.fingerprint))
    throw new AllianceError('rotation_refused', { details: 'The partner acknowledged another key.' });
}

export interface BundleNews {
  /** False when the partner publishes a certificate that it has not announced to us. */
  readonly announced: boolean;
  /** Keys of its tokens that were refused now, because they are known as this cloud's or another partner's. */
  readonly refusedTokenKeys: readonly PublishedTokenKey[];
}

/**
 * Reads the partner's trust bundle. It changes no pin, since only a signed rotation may do that. The keys of its Keystone's JWS tokens
 * are stored as its own and nobody else's; `isOwn` tells ours.
 */
export async function readTrustBundle(
  pool: ClientPool,
  store: Store,
  partner: Partner,
  isOwn: (key: PublishedTokenKey) => boolean,
): Promise<BundleNews> {
  const bundle = await pool.call(partner, 'getTrustBundle', undefined);
  const sequence = toNumber(bundle.sequence);
  const { length } = bundle.certificates;
  // Reading one takes time that everybody else waits for.
  if (length === 0 || length > identityLimits.bundleCertificates)
    throw new AllianceError('wire_malformed', {
      field: 'certificates',
      details: `A bundle of ${length} certificates.`,
    });
  if (bundle.cloud_id !== partner.cloudId)
    throw new AllianceError('wire_malformed', { field: 'cloud_id', details: 'A bundle of another cloud.' });
  const announced = bundle.certificates.every(({ certificate }) => {
    const { fingerprint } = readCertificate(certificate);
    return partner.keys.some((key) => key.state !== 'retired' && equalBytes(key.fingerprint, fingerprint));
  });
  const tokenKeys = readTokenKeys(bundle.token_keys ?? []);
  if (sequence > partner.bundleSequence) await store.partners.update(partner.uid, { bundleSequence: sequence });
  return { announced, refusedTokenKeys: await store.tokenKeys.publish(partner.uid, tokenKeys, isOwn) };
}

function readTokenKeys(published: readonly TokenSigningKey[]): PublishedTokenKey[] {
  const malformed = (details: string, cause?: unknown) =>
    new AllianceError('wire_malformed', { field: 'token_keys', details, cause });
  if (published.length > tokenKeyLimits.keys) throw malformed('Too many keys of tokens.');
  const keys = new Map<string, PublishedTokenKey>();
  for (const { algorithm, public_key: der } of published) {
    const { spki, thumbprint, ...key } = readOne(der, malformed);
    if (key.algorithm !== algorithm) throw malformed('The algorithm is none of that key.');
    keys.set(thumbprint.toString('hex'), { algorithm: key.algorithm, spki, thumbprint });
  }
  return [...keys.values()];
}

function readOne(der: Buffer, malformed: (details: string, cause: unknown) => AllianceError): TokenKey {
  try {
    return readTokenKey(der);
  } catch (cause) {
    throw malformed('A key of tokens is none.', cause);
  }
}
