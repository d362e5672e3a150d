/** Building of the self-signed certificate around an identity's RSA key. */
import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import type forgeTypes from 'node-forge';
import { dayMs } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { identityLimits } from '../core/limits.ts';

/** A subject alternative name as node-forge wants it: 2 is a DNS name, 7 an IP address (RFC 5280, 4.2.1.6). */
type AltName = { readonly type: 2; readonly value: string } | { readonly type: 7; readonly ip: string };

interface SelfSignedOptions {
  readonly privateKey: KeyObject;
  readonly commonName: string;
  readonly altNames: readonly AltName[];
  /** UTC epoch ms. */
  readonly now: number;
}

/** The clocks of partners may be a little behind ours. */
const backdateMs = 5 * 60_000;
const hostForm = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i;
const hostBytes = 253;

/** The alternative name of a host name or an address (IPv6 with or without brackets). */
export function altName(host: string): AltName {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) === 4) return { type: 7, ip: bare };
  // URL writes IPv6 in hexadecimal groups only, the one form that node-forge reads; a zone means something on one host only.
  if (isIP(bare) === 6 && !bare.includes('%'))
    return { type: 7, ip: new URL(`http://[${bare}]`).hostname.slice(1, -1) };
  if (host.length <= hostBytes && hostForm.test(host)) return { type: 2, value: host };
  throw new AllianceError('configuration', {
    field: 'advertise',
    details: `"${host}" is no host name and no address.`,
  });
}

/** A certificate as PEM. node-forge only encodes: its own RSA in JavaScript would block the event loop for a tenth of a second. */
export async function selfSigned({ privateKey, commonName, altNames, now }: SelfSignedOptions): Promise<string> {
  // Only `init` and rotation get here; at every start node-forge would cost 20 ms.
  const { default: forge } = await import('node-forge');
  const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string;
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicPem);
  certificate.serialNumber = randomSerial();
  certificate.validity.notBefore = new Date(now - backdateMs);
  certificate.validity.notAfter = new Date(now + identityLimits.certificateDays * dayMs);
  const name = [{ name: 'commonName', value: commonName }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.setExtensions(extensions(altNames));
  certificate.signatureOid = forge.pki.oids.sha256WithRSAEncryption!;
  certificate.siginfo.algorithmOid = certificate.signatureOid;
  certificate.signature = '';
  const tbs = (forge.pki.certificateToAsn1(certificate).value as forgeTypes.asn1.Asn1[])[0]!;
  const signature = await signOnPool(Buffer.from(forge.asn1.toDer(tbs).getBytes(), 'latin1'), privateKey);
  certificate.tbsCertificate = tbs;
  certificate.signature = signature.toString('latin1');
  return forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n');
}

/** 126 random bits below a first byte that makes the number positive and needs no padding in DER. */
function randomSerial(): string {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial.toString('hex');
}

function extensions(names: readonly AltName[]): object[] {
  return [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
    ...(names.length > 0 ? [{ name: 'subjectAltName', altNames: names }] : []),
  ];
}

function signOnPool(data: Buffer, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign('sha256', data, key, (error, signature) => (error ? reject(error) : resolve(signature)));
  });
}
