import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect } from 'chai';
import type { AllianceError } from '../../src/core/errors.ts';
import { readTokenKey } from '../../src/crypto/tokenKey.ts';
import { newTokenKey } from '../support/tokenKeys.ts';

const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const refusal = (input: Buffer | string): string => {
  try {
    readTokenKey(input);
  } catch (error) {
    return (error as AllianceError).details ?? '';
  }
  return 'taken';
};

describe('crypto/tokenKey', () => {
  for (const algorithm of ['ES256', 'ES384', 'ES512', 'EdDSA'] as const)
    it(`reads ${algorithm}, the same from DER and from PEM`, () => {
      const { pem, spki, thumbprint } = newTokenKey(algorithm);
      for (const input of [pem, spki]) {
        const read = readTokenKey(input);
        expect(read.algorithm).to.equal(algorithm);
        expect(read.thumbprint.equals(thumbprint)).to.equal(true);
      }
    });

  it('reads Ed448', () => {
    expect(readTokenKey(spkiOf(generateKeyPairSync('ed448').publicKey)).algorithm).to.equal('EdDSA');
  });

  it('refuses other kinds of keys, other encodings of one, and what is none', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const der = spkiOf(publicKey);
    const { x, y } = publicKey.export({ format: 'jwk' }) as { x: string; y: string };
    const point = Buffer.concat([
      Buffer.from([2 + (Buffer.from(y, 'base64url').at(-1)! & 1)]),
      Buffer.from(x, 'base64url'),
    ]);
    const algorithm = der.subarray(2, 2 + 21);
    const bits = Buffer.concat([Buffer.from([0x03, point.length + 1, 0]), point]);
    const compressed = Buffer.concat([Buffer.from([0x30, algorithm.length + bits.length]), algorithm, bits]);
    expect(refusal(compressed)).to.contain('unusual encoding');
    expect(refusal(Buffer.concat([der, Buffer.alloc(1)]))).to.contain('unusual encoding');
    expect(refusal(spkiOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey))).to.contain('P-256');
    expect(refusal(spkiOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey))).to.contain('P-256');
    expect(refusal(spkiOf(generateKeyPairSync('x25519').publicKey))).to.contain('P-256');
    expect(refusal(newTokenKey().privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)).to.contain(
      'no public',
    );
    expect(refusal(Buffer.alloc(91))).to.contain('no public key');
    expect(refusal(Buffer.alloc(1025))).to.contain('larger');
    expect(refusal('x'.repeat(70_000))).to.contain('larger');
  });
});
