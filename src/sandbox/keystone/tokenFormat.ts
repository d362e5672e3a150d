/** What tokens look like: opaque as Fernet's, or signed as those of Keystone's JWS provider. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { TokenRecord } from './state.ts';

export type TokenProvider = 'fernet' | 'jws';

export interface TokenFormat {
  /** Public key of those that are signed, PEM; null of those that are not. */
  readonly publicKeyPem: string | null;
  format(record: Omit<TokenRecord, 'token'>): string;
}

export function createTokenFormat(provider: TokenProvider): TokenFormat {
  return provider === 'jws' ? jwsTokens() : opaqueTokens;
}

/** Its version, and half of a time: in base64 they are `gAAAAA`. */
const fernetStart = Buffer.from([0x80, 0, 0, 0, 0]);

const opaqueTokens: TokenFormat = {
  publicKeyPem: null,
  format: () => Buffer.concat([fernetStart, randomBytes(132)]).toString('base64url'),
};

function jwsTokens(): TokenFormat {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    format: (record) => {
      const text = `${encode({ alg: 'ES256', typ: 'JWT' })}.${encode(claimsOf(record))}`;
      const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
      return `${text}.${signature.toString('base64url')}`;
    },
  };
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Members in Keystone's order; what a token does not have is left out. */
function claimsOf({
  userId,
  scope,
  methods,
  auditIds,
  issuedAt,
  expiresAt,
  applicationCredentialId,
}: Omit<TokenRecord, 'token'>) {
  return {
    sub: userId,
    iat: issuedAt / 1000,
    exp: expiresAt / 1000,
    openstack_methods: methods,
    openstack_audit_ids: auditIds,
    ...(scope?.kind === 'system' && { openstack_system: 'all' }),
    ...(scope?.kind === 'domain' && { openstack_domain_id: scope.id }),
    ...(scope?.kind === 'project' && { openstack_project_id: scope.id }),
    ...(applicationCredentialId !== null && { openstack_app_cred_id: applicationCredentialId }),
  };
}
