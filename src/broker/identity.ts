/** Rotation of our own identity (docs/protocol.md, section 7). */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../core/config.ts';
import { parseEndpoint } from '../core/endpoint.ts';
import { AllianceError } from '../core/errors.ts';
import { identityLimits } from '../core/limits.ts';
import { createWhole, makeDirectory } from '../core/wholeFile.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { createIdentity, encryptKey, type Identity, loadIdentity } from '../crypto/identity.ts';
import type { IdentityRecord } from '../model/identityRecord.ts';
import type { Partner } from '../model/partner.ts';
import { tellIdentity } from '../rproxy/identity.ts';
import { rotatedKeyPath } from './files.ts';
import type { Installation } from './installation.ts';

export interface RotateOptions {
  /** The operator's own key and certificate, PEM; default: new ones are made. */
  readonly own?: { readonly keyPem: string; readonly certificatePem: string } | undefined;
  /** How long the former key still counts; default 7 days, at most 30. */
  readonly overlapMs?: number | undefined;
  /** The old key is in other hands: no overlap, every session ends, and partners have to pair again. */
  readonly compromised?: boolean | undefined;
}

/**
 * The key file is written before the record that makes it count, so that a crash in between changes nothing. Throws bad_request,
 * configuration, identity_known, rotation_overlap, rotation_refused.
 */
export async function rotateIdentity(
  installation: Installation,
  { own, overlapMs = identityLimits.defaultOverlapMs, compromised = false }: RotateOptions = {},
): Promise<IdentityRecord> {
  if (!(overlapMs > 0 && overlapMs <= identityLimits.overlapMs))
    throw new AllianceError('bad_request', {
      field: 'overlap',
      details: 'overlap must be longer than 0 and at most 30 days.',
    });
  const { config, store, view, clock, log } = installation;
  if (!compromised && view.identities[0]?.overlapTill !== null)
    throw new AllianceError('rotation_refused', {
      details: 'The private key of the present identity cannot be read, and an overlap takes it.',
      remedy: 'Put its file back; where it is lost, say --compromised, and pair again.',
    });
  const { passphrase } = config.identity;
  const now = clock.now();
  const pems = own ?? (await createIdentity(certificateOptions(config, now)));
  const made = loadIdentity({ cloudId: config.cloudId, ...pems, passphrase, now });
  const { fingerprint, algorithm, certificateDer, notBefore, notAfter } = made;
  const record = await withKeyFile(installation, made, () =>
    store.identities.rotate(
      { fingerprint, algorithm, certificateDer, notBefore, notAfter },
      { overlapTill: compromised ? null : now + overlapMs },
    ),
  );
  await view.refresh();
  log.warn({ sequence: record.sequence, compromised }, 'The identity was rotated.');
  return record;
}

/** What a certificate of ours is about. */
export const certificateOptions = ({ cloudId, advertise }: Config, now: number) => ({
  cloudId,
  hosts: [...new Set(advertise.map((endpoint) => parseEndpoint(endpoint).host))],
  now,
});

/** The key lies in its file while `work` stores the identity, and stays only if that is stored. */
async function withKeyFile<T>(
  { config, store }: Installation,
  { fingerprint, keyPem }: Identity,
  work: () => Promise<T>,
): Promise<T> {
  const { passphrase } = config.identity;
  const path = rotatedKeyPath(config.home, fingerprint);
  const isStored = async () =>
    (await store.identities.list()).some((record) => equalBytes(record.fingerprint, fingerprint));
  const before = await isStored();
  makeDirectory(dirname(path));
  const created = createWhole(path, passphrase === undefined ? keyPem : encryptKey(keyPem, passphrase), 0o600);
  try {
    return await work();
  } catch (error) {
    if (created && (await isStored()) === before) rmSync(path, { force: true });
    throw error;
  }
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
