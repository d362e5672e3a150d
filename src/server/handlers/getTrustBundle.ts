import { identityLimits } from '../../core/limits.ts';
import { CertificateState, IdentityCertificate, TrustBundle, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';

/** Our certificates now: the current one and, during a rotation, the former one. */
export const getTrustBundle: PartnerHandler<'getTrustBundle'> = async ({ view }) =>
  new TrustBundle({
    cloud_id: view.cloudId,
    sequence: toInt64(view.current.sequence),
    refresh_hint_s: identityLimits.bundleRefreshS,
    certificates: view.identities.map(
      ({ identity, overlapTill }) =>
        new IdentityCertificate({
          certificate: identity.certificateDer,
          state: overlapTill === null ? CertificateState.CURRENT : CertificateState.OVERLAP,
          not_before: toInt64(identity.notBefore),
          not_after: toInt64(overlapTill ?? identity.notAfter),
        }),
    ),
  });
