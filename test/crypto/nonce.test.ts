import { expect } from 'chai';
import fc from 'fast-check';
import { u64 } from '../../src/crypto/bytes.ts';
import { writeNonce } from '../../src/crypto/nonce.ts';

function nonceOf(iv: Uint8Array, counter: number): string {
  const nonce = Buffer.alloc(12, 0x55);
  writeNonce(nonce, Buffer.from(iv), counter);
  return nonce.toString('hex');
}

describe('nonce', () => {
  it('is the counter where the iv is zero, also beyond 2^32', () => {
    const zero = new Uint8Array(12);
    for (const counter of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 12345, Number.MAX_SAFE_INTEGER])
      expect(nonceOf(zero, counter)).to.equal(`00000000${u64(counter).toString('hex')}`);
  });

  it('is the iv XOR the counter', () => {
    expect(nonceOf(Buffer.from('cafebabefacedbaddecaf888', 'hex'), 0x1_0000_0002)).to.equal('cafebabefacedbacdecaf88a');
    const ivs = fc.uint8Array({ minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(ivs, fc.maxSafeNat(), (iv, counter) => {
        const expected = Buffer.from(iv);
        for (const [i, byte] of u64(counter).entries()) expected[4 + i]! ^= byte;
        expect(nonceOf(iv, counter)).to.equal(expected.toString('hex'));
      }),
    );
  });
});
