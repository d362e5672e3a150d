/** What a handshake is measured against: RSA-3072 PSS signatures, one after the other on one thread. */
import { constants, generateKeyPairSync, sign } from 'node:crypto';
import type { Contender } from '../load.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
const key = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
const data = Buffer.alloc(512, 'x');

function signFor(durationMs: number): number {
  const begin = performance.now();
  let count = 0;
  let passedMs = 0;
  while (passedMs < durationMs) {
    sign('sha256', data, key);
    count++;
    passedMs = performance.now() - begin;
  }
  return (count * 1000) / passedMs;
}

export const rsaSign: Contender = {
  measure: async ({ warmupMs, durationMs }) => {
    signFor(warmupMs);
    return signFor(durationMs);
  },
};
