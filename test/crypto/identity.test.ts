import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server } from 'node:tls';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { parseCloudId } from '../../src/core/ids.ts';
import { identityLimits } from '../../src/core/limits.ts';
import { sha256 } from '../../src/crypto/bytes.ts';
import { fingerprintOfPeer } from '../../src/crypto/certificate.ts';
import { createIdentity, encryptKey, type Identity, loadIdentity } from '../../src/crypto/identity.ts';
import { signCompact, verifyCompact } from '../../src/crypto/jws.ts';
import { makeCertificate, toPem } from '../support/certificate.ts';
import { refusal, rejection } from '../support/errors.ts';
import { type KeyKind, makeIdentity, makeKey } from '../support/identity.ts';

const cloudId = parseCloudId('alpha');
const pkcs8 = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;
const certificateOf = (privateKey: KeyObject, more = {}): string => toPem(makeCertificate({ privateKey, ...more }));
const kinds: KeyKind[] = ['RSA-3072', 'P-256', 'Ed25519'];

describe('createIdentity', () => {
  const now = Date.UTC(2026, 5, 1, 12);
  let made: { keyPem: string; certificatePem: string };
  before(async () => {
    made = await createIdentity({
      cloudId,
      hosts: ['alpha.example.org', '192.0.2.7', '[2001:db8::7]', '::ffff:192.0.2.8'],
      now,
    });
  });

  it('makes an RSA-3072 key and its self-signed certificate', () => {
    const identity = loadIdentity({ cloudId, ...made, now });
    const { certificate } = identity;
    expect(identity.algorithm).to.equal('PS256');
    expect(certificate.publicKey.asymmetricKeyDetails).to.deep.equal({ modulusLength: 3072, publicExponent: 65537n });
    expect(certificate.verify(certificate.publicKey)).to.equal(true);
    expect([certificate.subject, certificate.issuer]).to.deep.equal(['CN=alpha', 'CN=alpha']);
    expect(certificate.ca).to.equal(false);
    // serverAuth and clientAuth.
    expect(certificate.keyUsage).to.deep.equal(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    const spki = createPublicKey(made.keyPem).export({ type: 'spki', format: 'der' });
    expect(identity.fingerprint.equals(sha256(spki))).to.equal(true);
  });

  it('names the hosts', () => {
    const certificate = new X509Certificate(made.certificatePem);
    expect(certificate.checkHost('alpha.example.org')).to.equal('alpha.example.org');
    expect(certificate.checkIP('192.0.2.7')).to.equal('192.0.2.7');
    expect(certificate.checkIP('2001:db8::7')).to.equal('2001:db8::7');
    expect(certificate.checkIP('::ffff:192.0.2.8')).to.equal('::ffff:192.0.2.8');
    expect(certificate.checkHost('beta.example.org')).to.equal(undefined);
  });

  it('begins five minutes ago and lasts as long as the limit says', () => {
    const { notBefore, notAfter } = loadIdentity({ cloudId, ...made });
    expect(notBefore).to.equal(now - 5 * 60_000);
    expect(notAfter).to.equal(now + identityLimits.certificateDays * 86_400_000);
  });

  it('makes another key and a positive serial number of 16 bytes each time', async () => {
    const other = await createIdentity({ cloudId, hosts: [], now });
    expect(other.keyPem).not.to.equal(made.keyPem);
    const serials = [made, other].map(({ certificatePem }) => new X509Certificate(certificatePem).serialNumber);
    expect(serials[0]).not.to.equal(serials[1]);
    for (const serial of serials) expect(serial).to.match(/^[4-7][0-9A-F]{31}$/);
    expect(new X509Certificate(other.certificatePem).subjectAltName).to.equal(undefined);
  });

  it('refuses hosts that are none', async () => {
    for (const host of [
      '',
      'a b',
      'a,b',
      '-a',
      'a..b',
      'DNS:a',
      'a/b',
      'x'.repeat(254),
      '*.example.org',
      'fe80::1%eth0',
    ]) {
      const error = await rejection(createIdentity({ cloudId, hosts: [host], now }), 'configuration');
      expect(error.field, host).to.equal('advertise');
    }
  });
});

describe('loadIdentity', () => {
  for (const kind of kinds) {
    const key = makeKey(kind);
    const certificatePem = certificateOf(key);

    it(`reads ${kind} and signs with it`, async () => {
      const identity = loadIdentity({ cloudId, keyPem: pkcs8(key), certificatePem });
      const { privateKey, algorithm, certificate } = identity;
      expect(identity).to.include({ cloudId, certificatePem });
      expect(identity.certificateDer.equals(certificate.raw)).to.equal(true);
      const payload = Buffer.from('payload');
      const jws = await signCompact({ key: privateKey, algorithm, use: 'alliance-pair', payload });
      const read = await verifyCompact(jws, { key: certificate.publicKey, algorithm, use: 'alliance-pair' });
      expect(read.equals(payload)).to.equal(true);
    });

    it(`reads an encrypted key of ${kind}`, () => {
      const keyPem = encryptKey(pkcs8(key), 'correct horse');
      expect(keyPem).to.match(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
      const identity = loadIdentity({ cloudId, keyPem, certificatePem, passphrase: 'correct horse' });
      expect(identity.keyPem).to.equal(pkcs8(key));
    });
  }

  it('reads PKCS#1 and SEC1, plain and encrypted', () => {
    for (const [kind, type] of [
      ['RSA-3072', 'pkcs1'],
      ['P-256', 'sec1'],
    ] as const) {
      const key = makeKey(kind);
      const certificatePem = certificateOf(key);
      const plain = key.export({ type: type as 'sec1', format: 'pem' }) as string;
      expect(loadIdentity({ cloudId, keyPem: plain, certificatePem }).keyPem).to.equal(pkcs8(key));
      const locked = key.export({ type: type as 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' });
      const options = { cloudId, keyPem: locked as string, certificatePem, passphrase: 'p' };
      expect(loadIdentity(options).keyPem).to.equal(pkcs8(key));
    }
  });

  it('takes the first certificate of a chain', () => {
    const key = makeKey('P-256');
    const chain = certificateOf(key) + certificateOf(makeKey('P-256'));
    expect(
      loadIdentity({ cloudId, keyPem: pkcs8(key), certificatePem: chain }).certificate.checkPrivateKey(key),
    ).to.equal(true);
  });

  it('hides the key from logs, JSON and copies', () => {
    const identity = makeIdentity('alpha');
    const line = identity.keyPem.split('\n')[1]!;
    expect(line).to.have.length(64);
    for (const text of [inspect(identity, { depth: 9 }), JSON.stringify(identity), JSON.stringify({ ...identity })])
      expect(text).not.to.include(line.slice(0, 16));
  });

  describe('refuses, naming the field,', () => {
    const key = makeKey('P-256');
    const keyPem = pkcs8(key);
    const certificatePem = certificateOf(key);
    const refused = (options: Partial<Parameters<typeof loadIdentity>[0]>, field: string, details: RegExp) => {
      const error = refusal(() => loadIdentity({ cloudId, keyPem, certificatePem, ...options }), 'configuration');
      expect(error.field).to.equal(`identity.${field}`);
      expect(error.details).to.match(details);
      expect(error.cause).to.equal(undefined);
      const secret = (options.keyPem ?? keyPem).split('\n')[1]?.slice(0, 12);
      if (secret) expect(inspect(error)).not.to.include(secret);
    };

    it('the certificate of another key', () => {
      for (const kind of kinds)
        refused({ certificatePem: certificateOf(makeKey(kind)) }, 'certificate_file', /another key/);
    });

    it('keys too weak or of other kinds', () => {
      const weak: [KeyObject, RegExp][] = [
        [generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, /this one has 2048/],
        [generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, /must be P-256/],
        [generateKeyPairSync('ed448').privateKey, /RSA, P-256 or Ed25519/],
        [generateKeyPairSync('x25519').privateKey, /RSA, P-256 or Ed25519/],
      ];
      for (const [privateKey, details] of weak) refused({ keyPem: pkcs8(privateKey) }, 'key_file', details);
    });

    it('an encrypted key without its passphrase', () => {
      const locked = encryptKey(keyPem, 'right');
      refused({ keyPem: locked }, 'passphrase', /no passphrase/);
      refused({ keyPem: locked, passphrase: 'wrong' }, 'passphrase', /does not open/);
      refused({ keyPem: locked, passphrase: '' }, 'passphrase', /does not open/);
    });

    it('files without a key', () => {
      const broken = keyPem.replace(/\n.{20}/, '\n');
      const publicPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string;
      for (const text of ['', 'hello', broken, publicPem, certificatePem])
        refused({ keyPem: text }, 'key_file', /no private key/);
      refused({ keyPem: keyPem + ' '.repeat(70_000) }, 'key_file', /larger/);
    });

    it('files without a certificate', () => {
      for (const text of ['', 'hello', keyPem]) refused({ certificatePem: text }, 'certificate_file', /no X.509/);
    });

    it('certificates with impossible dates, or not valid now', () => {
      const [early, late] = [Date.UTC(2026, 0), Date.UTC(2027, 0)];
      const backwards = certificateOf(key, { notBefore: late, notAfter: early });
      refused({ certificatePem: backwards }, 'certificate_file', /ends before/);
      const dated = certificateOf(key, { notBefore: early, notAfter: late });
      refused({ certificatePem: dated, now: early - 1 }, 'certificate_file', /not valid before 2026-01-01/);
      refused({ certificatePem: dated, now: late }, 'certificate_file', /expired at 2027-01-01/);
      expect(loadIdentity({ cloudId, keyPem, certificatePem: dated, now: early }).notAfter).to.equal(late);
    });
  });

  it('encrypts under no empty passphrase, and only what is a key', () => {
    expect(refusal(() => encryptKey(makeIdentity('alpha').keyPem, ''), 'configuration').field).to.equal(
      'identity.passphrase',
    );
    expect(refusal(() => encryptKey('hello', 'x'), 'configuration').field).to.equal('identity.key_file');
  });
});

describe('an identity in TLS', () => {
  const listening = async (identity: Identity): Promise<Server> => {
    const server = createServer({ key: identity.keyPem, cert: identity.certificatePem, minVersion: 'TLSv1.3' });
    server.on('secureConnection', (socket) => socket.end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };

  for (const kind of kinds)
    it(`is known by its fingerprint, with ${kind}`, async () => {
      const identity = makeIdentity('alpha', kind);
      const server = await listening(identity);
      const { port } = server.address() as AddressInfo;
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
      try {
        await once(socket, 'secureConnect');
        const { raw } = socket.getPeerCertificate();
        expect(fingerprintOfPeer(raw).equals(identity.fingerprint)).to.equal(true);
      } finally {
        socket.destroy();
        server.close();
      }
    });
});
