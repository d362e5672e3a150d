import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { createEphemeral, sharedSecret } from '../../src/crypto/x25519.ts';
import { refusal } from '../support/errors.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const privateKey = (raw: string): KeyObject =>
  createPrivateKey({ key: hex(`302e020100300506032b656e04220420${raw}`), format: 'der', type: 'pkcs8' });

describe('x25519', () => {
  // RFC 7748, 5.2.
  const vectors = [
    {
      scalar: 'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
      point: 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
      secret: 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    },
    {
      scalar: '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
      point: 'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
      secret: '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
    },
  ];
  for (const { scalar, point, secret } of vectors)
    it(`multiplies ${point.slice(0, 8)} of RFC 7748`, () => {
      expect(sharedSecret(privateKey(scalar), hex(point)).toString('hex')).to.equal(secret);
    });

  it('iterates as RFC 7748 does', () => {
    let scalar: Buffer = hex('09'.padEnd(64, '0'));
    let point = scalar;
    const after = new Map<number, string>();
    for (let i = 1; i <= 1000; i++) {
      [scalar, point] = [sharedSecret(privateKey(scalar.toString('hex')), point), scalar];
      after.set(i, scalar.toString('hex'));
    }
    expect(after.get(1)).to.equal('422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079');
    expect(after.get(1000)).to.equal('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51');
  });

  // The points of order 1, 2, 4 and 8, and those of them that have a second spelling modulo p (https://cr.yp.to/ecdh.html#validate).
  const lowOrder = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];
  for (const point of lowOrder)
    it(`refuses the low-order point ${point.slice(0, 4)}..${point.slice(-2)}`, () => {
      const bytes = hex(point);
      refusal(() => createEphemeral().derive(bytes), 'ticket_refused');
      // RFC 7748 ignores the highest bit.
      bytes[31]! |= 0x80;
      refusal(() => createEphemeral().derive(bytes), 'ticket_refused');
    });

  it('agrees with its peer, on another secret every time', () => {
    const secrets = Array.from({ length: 3 }, () => {
      const [a, b] = [createEphemeral(), createEphemeral()];
      const secret = a.derive(b.publicKey);
      expect(b.derive(a.publicKey).equals(secret)).to.equal(true);
      expect(a.publicKey).to.have.length(32);
      return secret.toString('hex');
    });
    expect(new Set(secrets).size).to.equal(3);
  });

  it('refuses keys of another length', () => {
    for (const length of [0, 31, 33, 64])
      refusal(() => createEphemeral().derive(randomBytes(length)), 'ticket_refused');
  });

  it('derives once, also where the first time failed', () => {
    const peer = createEphemeral().publicKey;
    const used = createEphemeral();
    used.derive(peer);
    refusal(() => used.derive(peer), 'internal');
    const failed = createEphemeral();
    refusal(() => failed.derive(Buffer.alloc(32)), 'ticket_refused');
    refusal(() => failed.derive(peer), 'internal');
  });
});
