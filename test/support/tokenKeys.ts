/** Keys of Keystones' JWS tokens, and the tokens that they sign. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readTokenKey, type TokenAlgorithm, type TokenKey } from '../../src/crypto/tokenKey.ts';
import type { Partner } from '../../src/model/partner.ts';
import type { StoredTokenKey, TokenKeyState } from '../../src/model/tokenKey.ts';

const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' } as const;
const hashes = { ES256: 'sha256', ES384: 'sha384', ES512: 'sha512' } as const;

export interface SigningKey extends TokenKey {
  readonly pem: string;
  readonly privateKey: KeyObject;
}

export function newTokenKey(algorithm: TokenAlgorithm = 'ES256'): SigningKey {
  const { publicKey, privateKey } =
    algorithm === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: curves[algorithm] });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  return { ...readTokenKey(pem), pem, privateKey };
}

export const storedKey = (key: TokenKey, { uid }: Partner, state: TokenKeyState = 'active'): StoredTokenKey => ({
  partnerUid: uid,
  algorithm: key.algorithm,
  spki: key.spki,
  thumbprint: key.thumbprint,
  state,
  createdAt: 0,
});

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** As Keystone makes them. */
export function jwsToken(
  key: SigningKey,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): string {
  const iat = Math.floor(Date.UTC(2030, 0, 1) / 1000);
  const payload = {
    sub: 'u1',
    iat,
    exp: iat + 3600,
    openstack_methods: ['password'],
    openstack_audit_ids: ['a'],
    ...claims,
  };
  const text = `${encode({ alg: key.algorithm, typ: 'JWT', ...header })}.${encode(payload)}`;
  const hash = key.algorithm === 'EdDSA' ? null : hashes[key.algorithm];
  const signature = sign(hash, Buffer.from(text), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}
