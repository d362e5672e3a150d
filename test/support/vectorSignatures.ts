/** One signed request of each algorithm. RSA and P-256 sign with randomness of their own, so these are made once and only verified. */
import { startSession } from '../../src/channel/handshake.ts';
import { makeIdentity } from './identity.ts';
import { jwsOf, vectorIdentity, vectorTime } from './vectors.ts';

export interface SignatureVector {
  readonly algorithm: string;
  readonly private_key_pem: string;
  readonly certificate_der: string;
  readonly fp: string;
  readonly jws: string;
}

export async function makeSignatures(): Promise<SignatureVector[]> {
  const { cloudId, fingerprint, algorithm, certificate } = await vectorIdentity('west');
  const partner = { cloudId, key: { fingerprint, algorithm, publicKey: certificate.publicKey } };
  const kinds = ['RSA-3072', 'P-256', 'Ed25519'] as const;
  return Promise.all(
    kinds.map(async (kind) => {
      const identity = makeIdentity('east', kind, vectorTime - 86_400_000);
      const { ticket } = await startSession({ identity, partner, attempt: 'bootstrap', now: vectorTime });
      return {
        algorithm: identity.algorithm,
        private_key_pem: identity.keyPem,
        certificate_der: identity.certificateDer.toString('hex'),
        fp: identity.fingerprint.toString('hex'),
        jws: jwsOf(ticket),
      };
    }),
  );
}
