/** Identities between partners: tell ours, and look at what they publish of theirs. */
import { createRotation } from '../channel/rotation.ts';
import type { ClientPool } from '../client/pool.ts';
import type { OwnIdentity } from '../client/trustView.ts';
import { AllianceError } from '../core/errors.ts';
import { identityLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { readCertificate } from '../crypto/certificate.ts';
import type { Partner } from '../model/partner.ts';
import type { Store } from '../model/store.ts';
import { RotationStatement, toNumber } from '../wire/types.ts';

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

/**
 * Reads the partner's trust bundle. It changes no pin, since only a signed rotation may do that; it tells when the partner publishes
 * a key that we have not been told of. Returns whether all is known.
 */
export async function readTrustBundle(pool: ClientPool, store: Store, partner: Partner): Promise<boolean> {
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
  if (sequence > partner.bundleSequence) await store.partners.update(partner.uid, { bundleSequence: sequence });
  return bundle.certificates.every(({ certificate }) => {
    const { fingerprint } = readCertificate(certificate);
    return partner.keys.some((key) => key.state !== 'retired' && equalBytes(key.fingerprint, fingerprint));
  });
}
