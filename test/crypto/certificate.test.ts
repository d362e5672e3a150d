import { createPrivateKey, createPublicKey, ECDH, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../src/core/errors.ts';
import { sha256 } from '../../src/crypto/bytes.ts';
import { fingerprintOfPeer, formatFingerprint, readCertificate } from '../../src/crypto/certificate.ts';
import { makeCertificate, toPem } from '../support/certificate.ts';
import { oid, sequence, tlv } from '../support/der.ts';
import { refusal } from '../support/errors.ts';
import { type KeyKind, makeKey } from '../support/identity.ts';

const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
const rsa = (modulusLength: number, publicExponent = 65537): KeyObject =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey;
const spkiOf = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });
const refused = (read: () => unknown): string | undefined => refusal(read, 'bad_request').details;

describe('certificate', () => {
  for (const [kind, algorithm] of [
    ['RSA-3072', 'PS256'],
    ['P-256', 'ES256'],
    ['Ed25519', 'EdDSA'],
  ] as [KeyKind, string][])
    it(`reads a certificate of ${kind}`, () => {
      const privateKey = makeKey(kind);
      const notBefore = Date.UTC(2024, 1, 29, 12, 30, 59);
      const notAfter = Date.UTC(2051, 0, 2);
      const der = makeCertificate({ privateKey, notBefore, notAfter });
      for (const form of [der, toPem(der), Buffer.from(toPem(der))]) {
        const facts = readCertificate(form);
        expect(facts).to.include({ algorithm, cloudId: 'alpha', notBefore, notAfter });
        expect(facts.der.equals(der)).to.equal(true);
        expect(facts.fingerprint.equals(sha256(spkiOf(privateKey)))).to.equal(true);
      }
      expect(fingerprintOfPeer(der).equals(sha256(spkiOf(privateKey)))).to.equal(true);
    });

  const weak: [string, () => KeyObject, RegExp][] = [
    ['RSA-2048', () => rsa(2048), /3072 to 8192 bits; this one has 2048/],
    ['RSA with exponent 3', () => rsa(3072, 3), /exponent/],
    ['P-384', () => ec('P-384'), /P-256/],
    ['P-521', () => ec('P-521'), /P-256/],
    ['secp256k1', () => ec('secp256k1'), /P-256/],
    ['Ed448', () => generateKeyPairSync('ed448').privateKey, /RSA, P-256 or Ed25519/],
  ];
  for (const [kind, make, details] of weak)
    it(`refuses ${kind}`, () => {
      const der = makeCertificate({ privateKey: make() });
      expect(refused(() => readCertificate(der))).to.match(details);
      expect(refused(() => fingerprintOfPeer(der))).to.match(details);
    });

  it('refuses a second encoding of a P-256 key, which would have another fingerprint', () => {
    const privateKey = ec('P-256');
    const point = ECDH.convertKey(spkiOf(privateKey).subarray(-65), 'prime256v1', undefined, undefined, 'compressed');
    const algorithm = sequence(oid('2a8648ce3d0201'), oid('2a8648ce3d030107'));
    const spki = sequence(algorithm, tlv(0x03, Buffer.from([0]), point as Buffer));
    expect(refused(() => readCertificate(makeCertificate({ privateKey, spki })))).to.match(/unusual encoding/);
  });

  it('refuses a second encoding of an RSA key, without the NULL parameters', () => {
    const privateKey = makeKey('RSA-3072');
    const bits = spkiOf(privateKey).subarray(-399 - 4);
    const spki = sequence(sequence(oid('2a864886f70d010101')), bits);
    expect(refused(() => readCertificate(makeCertificate({ privateKey, spki })))).to.match(/unusual encoding/);
  });

  it('refuses what is no certificate', () => {
    const der = makeCertificate({ privateKey: ec('P-256') });
    for (const text of ['', 'hello', toPem(der).slice(0, 200), toPem(spkiOf(ec('P-256')), 'PUBLIC KEY')])
      expect(refused(() => readCertificate(text))).to.equal('This is no X.509 certificate.');
    for (const bytes of [Buffer.alloc(0), der.subarray(0, -1), der.subarray(1), Buffer.alloc(100, 0x30)])
      expect(refused(() => readCertificate(bytes))).to.equal('This is no X.509 certificate.');
  });

  it('refuses bytes after the certificate', () => {
    const der = makeCertificate({ privateKey: ec('P-256') });
    expect(refused(() => readCertificate(Buffer.concat([der, Buffer.from([0])])))).to.match(/bytes after/);
  });

  it('refuses what is too large', () => {
    const der = makeCertificate({ privateKey: ec('P-256'), padding: 4096 });
    expect(refused(() => readCertificate(der))).to.match(/4096 bytes/);
    expect(refused(() => readCertificate(Buffer.alloc(70_000, 0x30)))).to.match(/65536 bytes/);
  });

  it('refuses RSA keys that are dear to verify with', () => {
    const rsaSpki = (modulusBytes: number, exponent: string): Buffer => {
      const modulus = tlv(0x02, Buffer.from([0]), Buffer.alloc(modulusBytes, 0xff));
      const key = sequence(modulus, tlv(0x02, Buffer.from(exponent, 'hex')));
      return sequence(sequence(oid('2a864886f70d010101'), tlv(0x05)), tlv(0x03, Buffer.from([0]), key));
    };
    const read = (spki: Buffer) => readCertificate(makeCertificate({ privateKey: ec('P-256'), spki }));
    expect(read(rsaSpki(1024, '010001')).algorithm).to.equal('PS256');
    expect(read(rsaSpki(384, '00ffffffff')).algorithm).to.equal('PS256');
    expect(refused(() => read(rsaSpki(1025, '010001')))).to.match(/3072 to 8192 bits; this one has 8200/);
    expect(refused(() => read(rsaSpki(384, '0100000001')))).to.match(/exponent/);
    expect(refused(() => read(rsaSpki(383, '010001')))).to.match(/this one has 3064/);
  });

  it('refuses a key of a kind that no one knows', () => {
    const spki = sequence(sequence(oid('883701')), tlv(0x03, Buffer.alloc(33)));
    const privateKey = ec('P-256');
    expect(refused(() => readCertificate(makeCertificate({ privateKey, spki })))).to.match(/cannot be read/);
  });

  it('answers any altered byte with facts or with a refusal of its own', () => {
    const der = makeCertificate({ privateKey: ec('P-256') });
    const alteration = fc.record({ at: fc.nat(der.length - 1), mask: fc.integer({ min: 1, max: 255 }) });
    fc.assert(
      fc.property(alteration, ({ at, mask }) => {
        const altered = Buffer.from(der);
        altered[at]! ^= mask;
        try {
          expect(readCertificate(altered).der.equals(altered)).to.equal(true);
        } catch (thrown) {
          expect(thrown).to.be.instanceOf(AllianceError).and.to.have.property('errorName', 'bad_request');
        }
      }),
      { numRuns: 500 },
    );
  });

  it('refuses dates that are the wrong way round', () => {
    const privateKey = ec('P-256');
    const der = makeCertificate({ privateKey, notBefore: Date.UTC(2030, 1), notAfter: Date.UTC(2029, 1) });
    expect(refused(() => readCertificate(der))).to.match(/ends before/);
  });

  it('takes a cloud_id only from a single, well-formed common name', () => {
    const privateKey = ec('P-256');
    const nameOf = (commonNames: string[]) => readCertificate(makeCertificate({ privateKey, commonNames })).cloudId;
    expect(nameOf(['beta-2'])).to.equal('beta-2');
    for (const names of [[], ['alpha', 'beta'], ['Alpha'], ['local'], ['a b'], ['x\nCN=alpha'], ['a'.repeat(64)]])
      expect(nameOf(names), JSON.stringify(names)).to.equal(null);
  });

  it('keeps an RSA key pinned to PS256 through a private key as well', () => {
    const facts = readCertificate(makeCertificate({ privateKey: makeKey('RSA-3072') }));
    const pem = makeKey('RSA-3072').export({ type: 'pkcs1', format: 'pem' });
    expect(facts.certificate.checkPrivateKey(createPrivateKey(pem))).to.equal(true);
  });

  it('writes fingerprints as pairs of hexadecimal digits', () => {
    expect(formatFingerprint(Buffer.from('00ab7f', 'hex'))).to.equal('SHA256:00:AB:7F');
  });
});
