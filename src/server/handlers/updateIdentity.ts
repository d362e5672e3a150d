/** A partner announces its next identity (docs/protocol.md, section 7). */
import { verifyRotation } from '../../channel/rotation.ts';
import { equalBytes } from '../../crypto/bytes.ts';
import { formatFingerprint } from '../../crypto/certificate.ts';
import { RotationReceipt, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';

export const updateIdentity: PartnerHandler<'updateIdentity'> = async (context, argument, { partner, channel }) => {
  const { store, view, clock, log } = context;
  const rotation = await verifyRotation(
    { payload: argument.payload, oldSignature: argument.old_signature, newSignature: argument.new_signature },
    { cloudId: partner.cloudId, channelKey: channel.key },
    view.cloudId,
    clock.now(),
  );
  const { fingerprint, algorithm, der, notBefore, notAfter } = rotation.facts;
  const receipt = new RotationReceipt({ sequence: toInt64(rotation.sequence), fingerprint });

  // A repeat after a lost receipt is answered with the same one.
  const known = partner.keys.some((key) => key.state !== 'retired' && equalBytes(key.fingerprint, fingerprint));
  if (known && partner.rotationSequence === rotation.sequence) return receipt;

  await store.partners.rotateKeys(partner.uid, {
    sequence: rotation.sequence,
    oldFingerprint: rotation.oldFingerprint,
    key: { fingerprint, algorithm, certificateDer: der, notBefore, notAfter },
    overlapTill: rotation.overlapTill,
  });
  await view.refresh();
  log.warn(
    {
      partner: partner.cloudId,
      oldFingerprint: formatFingerprint(rotation.oldFingerprint),
      newFingerprint: formatFingerprint(fingerprint),
    },
    'A partner announced a new identity.',
  );
  return receipt;
};
