import { identityLimits } from '../../core/limits.ts';
import { CertificateState, IdentityCertificate, TokenSigningKey, TrustBundle, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';

/** Our certificates now: the current one and, during a rotation, the former one. And what our Keystone signs JWS tokens with. */
export const getTrustBundle: PartnerHandler<'getTrustBundle'> = async ({ view, ownTokenKeys }) => {
  const tokenKeys = await ownTokenKeys.list();
  return new TrustBundle({
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
    ...(tokenKeys.length > 0 && {
      token_keys: tokenKeys.map(({ algorithm, spki }) => new TokenSigningKey({ algorithm, public_key: spki })),
    }),
  });
};
