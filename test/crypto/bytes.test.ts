import { expect } from 'chai';
import fc from 'fast-check';
import {
  equalBytes,
  fromBase64url,
  hmacSha256,
  kdf,
  lengthPrefixed,
  sha256,
  toBase64url,
  u64,
} from '../../src/crypto/bytes.ts';
import { refusal } from '../support/errors.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const range = (from: number, to: number): Buffer => Buffer.from(Array.from({ length: to - from }, (_, i) => from + i));

describe('bytes', () => {
  // RFC 5869, appendix A.
  const hkdf = [
    {
      ikm: hex('0b'.repeat(22)),
      salt: range(0x00, 0x0d),
      info: range(0xf0, 0xfa),
      okm: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    },
    {
      ikm: range(0x00, 0x50),
      salt: range(0x60, 0xb0),
      info: range(0xb0, 0x100),
      okm: 'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
    },
    {
      ikm: hex('0b'.repeat(22)),
      salt: '',
      info: '',
      okm: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    },
  ];
  for (const [i, { ikm, salt, info, okm }] of hkdf.entries())
    it(`derives test case ${i + 1} of RFC 5869`, () => {
      expect(kdf(ikm, salt, info, okm.length / 2).toString('hex')).to.equal(okm);
    });

  it('computes test case 2 of RFC 4231, in one part and in several', () => {
    const mac = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';
    expect(hmacSha256(Buffer.from('Jefe'), 'what do ya want for nothing?').toString('hex')).to.equal(mac);
    expect(hmacSha256(Buffer.from('Jefe'), 'what do ya ', Buffer.from('want for nothing?')).toString('hex')).to.equal(
      mac,
    );
  });

  it('hashes the parts as one', () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(sha256('abc').toString('hex')).to.equal(abc);
    expect(sha256('a', Buffer.from('b'), 'c').toString('hex')).to.equal(abc);
  });

  it('prefixes lengths in bytes, so that neighbours cannot be mistaken', () => {
    expect(lengthPrefixed('aé').toString('hex')).to.equal('0000000361c3a9');
    expect(lengthPrefixed('').toString('hex')).to.equal('00000000');
    expect(lengthPrefixed(new Uint8Array([9, 8, 7, 6]).subarray(1, 3)).toString('hex')).to.equal('000000020807');
    const words = fc.tuple(fc.string(), fc.string());
    fc.assert(
      fc.property(words, words, ([a, b], [c, d]) => {
        const joined = (x: string, y: string) => Buffer.concat([lengthPrefixed(x), lengthPrefixed(y)]);
        expect(joined(a, b).equals(joined(c, d))).to.equal(a === c && b === d);
      }),
    );
  });

  it('writes u64 exactly and refuses numbers that have lost their value', () => {
    expect(u64(0).toString('hex')).to.equal('0000000000000000');
    expect(u64(Number.MAX_SAFE_INTEGER).toString('hex')).to.equal('001fffffffffffff');
    expect(u64(2n ** 64n - 1n).toString('hex')).to.equal('ffffffffffffffff');
    for (const n of [-1, 1.5, 2 ** 53, Number.NaN, 2n ** 64n, -1n]) expect(() => u64(n)).to.throw(RangeError);
  });

  it('compares bytes of any lengths', () => {
    expect(equalBytes(hex('0102'), hex('0102'))).to.equal(true);
    expect(equalBytes(hex(''), hex(''))).to.equal(true);
    for (const other of ['0103', '01', '010200', '']) expect(equalBytes(hex('0102'), hex(other))).to.equal(false);
  });

  it('reads back every base64url that it writes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromBase64url(toBase64url(bytes)).equals(bytes)).to.equal(true);
      }),
    );
  });

  it('refuses every other spelling of base64url', () => {
    for (const text of [
      'AA==',
      'AB',
      'A',
      'AAAAA',
      '+/+/',
      'AA AA',
      ' AAAA',
      'AAAA\n',
      'AAAA=',
      'AA.A',
      'AAAé',
      'AAAA\0',
    ])
      expect(refusal(() => fromBase64url(text, 'jti'), 'bad_request').field, text).to.equal('jti');
  });

  it('decodes at most one text to each value', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AQgw_-=+/'), maxLength: 8 }), (text) => {
        let bytes: Buffer;
        try {
          bytes = fromBase64url(text);
        } catch {
          return;
        }
        expect(toBase64url(bytes)).to.equal(text);
      }),
    );
  });
});
