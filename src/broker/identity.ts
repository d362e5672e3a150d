/** Rotation of our own identity (docs/protocol.md, section 7). */

import { parseEndpoint } from '../core/endpoint.ts';
import { AllianceError } from '../core/errors.ts';
import { identityLimits } from '../core/limits.ts';
import { createIdentity, encryptKey, loadIdentity } from '../crypto/identity.ts';
import type { IdentityRecord } from '../model/identityRecord.ts';
import type { Partner } from '../model/partner.ts';
import { tellIdentity } from '../rproxy/identity.ts';
import { rotatedKeyPath, writeWhole } from './files.ts';
import type { Installation } from './installation.ts';

export interface RotateOptions {
  /** The operator's own key and certificate, PEM; default: new ones are made. */
  readonly own?: { readonly keyPem: string; readonly certificatePem: string } | undefined;
  /** How long the former key still counts; default 7 days, at most 30. */
  readonly overlapMs?: number | undefined;
  /** The old key is in other hands: no overlap, every session ends, and partners have to pair again. */
  readonly compromised?: boolean | undefined;
}

/** The key file is written before the record that makes it count, so that a crash in between changes nothing. */
export async function rotateIdentity(
  { config, store, view, clock, log }: Installation,
  { own, overlapMs = identityLimits.defaultOverlapMs, compromised = false }: RotateOptions = {},
): Promise<IdentityRecord> {
  if (!(overlapMs > 0 && overlapMs <= identityLimits.overlapMs))
    throw new AllianceError('bad_request', {
      field: 'overlap',
      details: 'overlap must be longer than 0 and at most 30 days.',
    });
  const { passphrase } = config.identity;
  const now = clock.now();
  const hosts = [...new Set(config.advertise.map((endpoint) => parseEndpoint(endpoint).host))];
  const pems = own ?? (await createIdentity({ cloudId: config.cloudId, hosts, now }));
  const made = loadIdentity({ cloudId: config.cloudId, ...pems, passphrase, now });
  const { fingerprint, algorithm, certificateDer, notBefore, notAfter } = made;
  const keyPem = passphrase === undefined ? made.keyPem : encryptKey(made.keyPem, passphrase);
  writeWhole(rotatedKeyPath(config.home, fingerprint), keyPem, 0o600);
  const record = await store.identities.rotate(
    { fingerprint, algorithm, certificateDer, notBefore, notAfter },
    { overlapTill: compromised ? null : now + overlapMs },
  );
  await view.refresh();
  log.warn({ sequence: record.sequence, compromised }, 'The identity was rotated.');
  return record;
}

/** Tells one partner of the current identity, if it does not know it yet. */
export async function announceIdentity({ store, view, pool }: Installation, partner: Partner): Promise<void> {
  const { current } = view;
  const former = view.knownTo(partner);
  if (!former || former === current)
    throw new AllianceError('rotation_refused', {
      details: `${partner.cloudId} knows none of the keys that still count: pair again.`,
    });
  await tellIdentity(pool, partner, former, current);
  await store.partners.update(partner.uid, { acknowledgedSequence: current.sequence });
  await view.refresh();
}
