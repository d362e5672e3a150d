/** Keystone's JWS tokens: whose they are is told by the key that signed them, offline. That alone does not make them valid. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { z } from 'zod';
import { Bounded } from '../../core/bounded.ts';
import type { PartnerUid } from '../../core/ids.ts';
import { foreignLimits, tokenKeyLimits } from '../../core/limits.ts';
import { Rates } from '../../core/rates.ts';
import { fromBase64url } from '../../crypto/bytes.ts';
import { isSignedBy, type TokenAlgorithm } from '../../crypto/tokenKey.ts';
import type { StoredTokenKey } from '../../model/tokenKey.ts';
import type { OwnSigners } from '../ownSigners.ts';

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
  readonly issuer: PartnerUid | 'own';
  readonly algorithm: TokenAlgorithm;
  readonly key: KeyObject;
}

export interface JwsIssuersOptions {
  /** Monotonic, ms. */
  readonly now: () => number;
  /** A partner's key turned out to be one of this cloud's. */
  readonly onOwn: (key: StoredTokenKey) => void;
}

const rate = { perS: foreignLimits.verifyMsPerS, burst: foreignLimits.verifyMsBurst };

/** Whose key signed a token, remembered as long as no keys change. */
export class JwsIssuers {
  readonly #options: JwsIssuersOptions;
  readonly #rates = new Rates(1);
  #stored: readonly StoredTokenKey[] = [];
  #own: OwnSigners | undefined;
  #usable: readonly UsableKey[] = [];
  readonly #known = new Bounded<PartnerUid | 'own'>(foreignLimits.routes);
  /** Apart, so that guessing pushes nothing good out. */
  readonly #nobodys = new Bounded<true>(foreignLimits.negativeEntries);

  constructor(options: JwsIssuersOptions) {
    this.#options = options;
  }

  /**
   * `id` stands for the token, as the caller remembers tokens. `own`: this cloud; `busy`: too much time went into signatures lately, ask
   * later.
   */
  issuerOf(
    token: string,
    id: string,
    { stored, own }: { readonly stored: readonly StoredTokenKey[]; readonly own: OwnSigners },
  ): PartnerUid | 'own' | 'busy' | undefined {
    if (stored !== this.#stored || own !== this.#own) this.#take(stored, own);
    const known = this.#known.get(id);
    if (known !== undefined || this.#nobodys.get(id)) return known;
    const jws = readJws(token);
    const keys = this.#usable.filter(({ algorithm }) => algorithm === jws?.algorithm);
    if (!jws || keys.length === 0) return undefined;
    if (this.#rates.take('', rate, this.#options.now(), 0) > 0) return 'busy';
    const startedAt = performance.now();
    const signer = keys.find(({ key }) => isSignedBy(key, jws.signed, jws.signature));
    this.#rates.charge('', rate, this.#options.now(), performance.now() - startedAt);
    if (signer) this.#known.set(id, signer.issuer);
    else this.#nobodys.set(id, true);
    return signer?.issuer;
  }

  /** Whether a partner's key is known to have signed it; no signature is looked at for this. */
  isKnown(id: string, stored: readonly StoredTokenKey[], own: OwnSigners): boolean {
    const issuer = stored === this.#stored && own === this.#own ? this.#known.get(id) : undefined;
    return issuer !== undefined && issuer !== 'own';
  }

  #take(stored: readonly StoredTokenKey[], own: OwnSigners): void {
    this.#stored = stored;
    this.#own = own;
    this.#known.clear();
    this.#nobodys.clear();
    const ofPartners = inUse(stored)
      .filter((key) => {
        const isOwn = own.isOwn(key);
        if (isOwn) this.#options.onOwn(key);
        return !isOwn;
      })
      .map(({ partnerUid, algorithm, spki }) => {
        const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
        return { issuer: partnerUid, algorithm, key };
      });
    this.#usable = [
      ...own.keys.map(({ algorithm, key }) => ({ issuer: 'own' as const, algorithm, key })),
      ...ofPartners,
    ];
  }
}

/** Of each partner a few: those that the operator chose, then the newest. */
function inUse(stored: readonly StoredTokenKey[]): StoredTokenKey[] {
  const taken = new Map<PartnerUid, number>();
  return stored
    .filter(({ state }) => state === 'active' || state === 'chosen')
    .sort(
      (one, other) =>
        Number(other.state === 'chosen') - Number(one.state === 'chosen') || other.createdAt - one.createdAt,
    )
    .filter(({ partnerUid }) => {
      const before = taken.get(partnerUid) ?? 0;
      taken.set(partnerUid, before + 1);
      return before < tokenKeyLimits.usedPerPartner;
    });
}
