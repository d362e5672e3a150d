/** Keystone's JWS tokens: whose they are is told by the key that signed them, offline. That alone does not make them valid. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { PartnerUid } from '../../core/ids.ts';
import { foreignLimits } from '../../core/limits.ts';
import { fromBase64url } from '../../crypto/bytes.ts';
import { isSignedBy, type TokenAlgorithm } from '../../crypto/tokenKey.ts';
import type { StoredTokenKey } from '../../model/tokenKey.ts';
import { Bounded } from '../bounded.ts';

const header = z.strictObject({ alg: z.enum(['ES256', 'ES384', 'ES512', 'EdDSA']), typ: z.literal('JWT') });
/** Claims that each of Keystone's tokens has; its others begin with `openstack_` as well. */
const claims = z.looseObject({
  sub: z.string().min(1),
  iat: z.number(),
  exp: z.number(),
  openstack_methods: z.array(z.string()),
  openstack_audit_ids: z.array(z.string()).min(1),
});

export interface JwsToken {
  readonly algorithm: TokenAlgorithm;
  /** By its own claim, UTC epoch milliseconds. */
  readonly expiresAt: number;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** Undefined for what is no JWS token of a Keystone. The signature is not looked at. */
export function readJws(token: string): JwsToken | undefined {
  const [first = '', second = '', third = '', ...more] = token.split('.');
  if (!first.startsWith('eyJ') || third === '' || more.length > 0) return undefined;
  try {
    const { alg } = header.parse(JSON.parse(fromBase64url(first).toString()));
    const { exp } = claims.parse(JSON.parse(fromBase64url(second).toString()));
    const signed = Buffer.from(`${first}.${second}`);
    return { algorithm: alg, expiresAt: exp * 1000, signed, signature: fromBase64url(third) };
  } catch {
    return undefined;
  }
}

interface UsableKey {
  readonly partnerUid: PartnerUid;
  readonly algorithm: TokenAlgorithm;
  readonly key: KeyObject;
}

/** Whose key signed a token, remembered as long as no partner's keys change. */
export class JwsIssuers {
  #stored: readonly StoredTokenKey[] = [];
  #usable: readonly UsableKey[] = [];
  /** Null: nobody's. */
  readonly #known = new Bounded<PartnerUid | null>(foreignLimits.routes);

  /** `id` stands for the token, as the caller remembers tokens. */
  issuerOf(token: string, id: string, keys: readonly StoredTokenKey[]): PartnerUid | undefined {
    if (keys !== this.#stored) this.#take(keys);
    const known = this.#known.get(id);
    if (known !== undefined) return known ?? undefined;
    const jws = readJws(token);
    const signer =
      jws &&
      this.#usable.find(
        ({ algorithm, key }) => algorithm === jws.algorithm && isSignedBy(key, jws.signed, jws.signature),
      );
    this.#known.set(id, signer?.partnerUid ?? null);
    return signer?.partnerUid;
  }

  #take(keys: readonly StoredTokenKey[]): void {
    this.#stored = keys;
    this.#known.clear();
    this.#usable = keys
      .filter(({ state }) => state === 'active' || state === 'chosen')
      .map(({ partnerUid, algorithm, spki }) => {
        const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
        return { partnerUid, algorithm, key };
      });
  }
}
