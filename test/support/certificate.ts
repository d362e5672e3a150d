/** Self-signed certificates of any key and any dates, for tests of what we accept. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { generalizedTime, oid, sequence, tlv, utcTime } from './der.ts';

export interface CertificateOptions {
  readonly privateKey: KeyObject;
  readonly commonNames?: readonly string[];
  /** UTC epoch ms. */
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** In place of the key's own SubjectPublicKeyInfo. */
  readonly spki?: Buffer;
  /** Bytes of a private extension, to make it large. */
  readonly padding?: number;
}

const signatureAlgorithms: Readonly<Record<string, Buffer>> = {
  rsa: sequence(oid('2a864886f70d01010b'), tlv(0x05)),
  ec: sequence(oid('2a8648ce3d040302')),
  ed25519: sequence(oid('2b6570')),
  ed448: sequence(oid('2b6571')),
};

const year = 365 * 86_400_000;

/** DER of a certificate. */
export function makeCertificate(options: CertificateOptions): Buffer {
  const { privateKey, commonNames = ['alpha'], notBefore = Date.now() - 60_000, padding = 0 } = options;
  const type = privateKey.asymmetricKeyType!;
  const algorithm = signatureAlgorithms[type]!;
  const name = sequence(...commonNames.map(attribute));
  const tbs = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.from([0x40]), randomBytes(8)),
    algorithm,
    name,
    sequence(time(notBefore), time(options.notAfter ?? notBefore + year)),
    name,
    options.spki ?? createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
    ...(padding > 0 ? [tlv(0xa3, sequence(privateExtension(padding)))] : []),
  );
  const signature = sign(type.startsWith('ed') ? null : 'sha256', tbs, privateKey);
  return sequence(tbs, algorithm, tlv(0x03, Buffer.from([0]), signature));
}

export function toPem(der: Buffer, label = 'CERTIFICATE'): string {
  return `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`;
}

const attribute = (commonName: string): Buffer =>
  tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(commonName))));

const time = (ms: number): Buffer => (ms < Date.UTC(2050, 0) ? utcTime(ms) : generalizedTime(ms));

/** 2.999.1, of the arc for examples. */
const privateExtension = (bytes: number): Buffer => sequence(oid('883701'), tlv(0x04, Buffer.alloc(bytes)));

/** A new key and its certificate, as servers want them. */
export const certified = (name: string) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: toPem(makeCertificate({ privateKey, commonNames: [name] })),
  };
};
