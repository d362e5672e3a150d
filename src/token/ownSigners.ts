/** Who signs this cloud's own tokens: a partner that publishes such a key would have all of them brought to it. */
import { createPublicKey } from 'node:crypto';
import { isSignedBy, type TokenKey } from '../crypto/tokenKey.ts';
import type { PublishedTokenKey } from '../model/tokenKey.ts';
import { readJws } from './routing/jws.ts';

export interface OwnSigners {
  /** Those that the operator configured. */
  readonly keys: readonly Pick<TokenKey, 'algorithm' | 'key'>[];
  /** Whether all keys of this cloud's tokens are known, so that a partner's key is none of them. */
  readonly certain: boolean;
  /** One of those that are known, or one that signed the broker's own token. */
  isOwn(key: PublishedTokenKey): boolean;
}

export interface OwnEvidence {
  /** The broker's own, from this cloud's Keystone; undefined where it has none yet. */
  readonly token: string | undefined;
  /** Those that the operator configured. */
  readonly keys: readonly TokenKey[];
  /** Whether all their files could be read. */
  readonly complete: boolean;
}

export function ownSigners({ token, keys, complete }: OwnEvidence): OwnSigners {
  const jws = token === undefined ? undefined : readJws(token);
  const signedOurs = ({ algorithm, key }: Pick<TokenKey, 'algorithm' | 'key'>): boolean =>
    jws?.algorithm === algorithm && isSignedBy(key, jws.signed, jws.signature);
  const known = new Set(keys.map(({ thumbprint }) => thumbprint.toString('hex')));
  // A Keystone whose tokens are not signed has no key that anybody could publish. What only looks signed proves nothing.
  const certain = jws ? complete && keys.some(signedOurs) : token !== undefined && !token.startsWith('eyJ');
  return {
    keys,
    certain,
    isOwn: ({ algorithm, spki, thumbprint }) =>
      known.has(thumbprint.toString('hex')) ||
      (jws?.algorithm === algorithm &&
        signedOurs({ algorithm, key: createPublicKey({ key: spki, format: 'der', type: 'spki' }) })),
  };
}
