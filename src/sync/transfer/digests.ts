/** Hashes of a stream, by the names that Glance has for them. */
import { createHash, getHashes } from 'node:crypto';

const known = new Set(getHashes());

/** Whether a hash of this name can be computed here; shorter ones than MD5 prove nothing. */
export const canDigest = (algorithm: string): boolean =>
  /^(md5|sha1|sha224|sha256|sha384|sha512|sha3-\d+|blake2[bs]\d+)$/.test(algorithm) && known.has(algorithm);

export interface Digests {
  push(bytes: Uint8Array): void;
  /** Lower case hex by algorithm; once. */
  end(): ReadonlyMap<string, string>;
}

export function createDigests(algorithms: Iterable<string>): Digests {
  const hashes = [...new Set(algorithms)].map((algorithm) => [algorithm, createHash(algorithm)] as const);
  return {
    push: (bytes) => {
      for (const [, hash] of hashes) hash.update(bytes);
    },
    end: () => new Map(hashes.map(([algorithm, hash]) => [algorithm, hash.digest('hex')])),
  };
}
