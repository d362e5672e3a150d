import { expect } from 'chai';
import fc from 'fast-check';
import { parseVerificationCode, verificationCode } from '../../src/crypto/crockford.ts';
import { refusal } from '../support/errors.ts';

const code = (hexBytes: string): string => verificationCode(Buffer.from(hexBytes, 'hex'));

describe('crockford', () => {
  it('writes the first 40 bits, the highest first', () => {
    expect(code('0000000000')).to.equal('0000-0000');
    expect(code('ffffffffff')).to.equal('ZZZZ-ZZZZ');
    expect(code('0000000001')).to.equal('0000-0001');
    expect(code('8000000000')).to.equal('G000-0000');
    expect(code('00443214c7')).to.equal('0123-4567');
    expect(code('00443214c7abcdef')).to.equal('0123-4567');
  });

  it('is made of 5 bytes at least', () => {
    expect(() => code('00000000')).to.throw(RangeError);
  });

  it('reads a code however it was typed', () => {
    for (const text of ['01A1-B1Z0', '01a1b1z0', 'oLAi-bIZo', ' 01A1 B1Z0\n', '0-1-A-1-B-1-Z-0'])
      expect(parseVerificationCode(text), text).to.equal('01A1-B1Z0');
  });

  it('refuses what is no code', () => {
    for (const text of ['', 'ABCD', 'ABCD-EFGHJ', 'ABCD-EFGU', 'ABCD-EFG!', 'ABCDEFGÉ', 'ＡBCD-EFGH'])
      expect(refusal(() => parseVerificationCode(text), 'bad_request').field, text).to.equal('code');
  });

  it('reads back what it writes, and writes another code for other bits', () => {
    const bytes = fc.uint8Array({ minLength: 5, maxLength: 5 });
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        const [first, second] = [verificationCode(a), verificationCode(b)];
        expect(parseVerificationCode(first.toLowerCase().replace('-', ' '))).to.equal(first);
        expect(first === second).to.equal(Buffer.from(a).equals(b));
      }),
    );
  });
});
