/** Building of the self-signed certificate around an identity's RSA key. */
import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import type forgeTypes from 'node-forge';
import { AllianceError } from '../core/errors.ts';
import { identityLimits } from '../core/limits.ts';

export interface SelfSignedOptions {
  readonly privateKey: KeyObject;
  readonly commonName: string;
  /** DNS names and IP addresses, for the subject alternative name. */
  readonly hosts: readonly string[];
  /** UTC epoch ms. */
  readonly now: number;
}

/** Clocks of partners may be a little behind ours. */
const backdateMs = 5 * 60_000;
const dayMs = 86_400_000;

/** A certificate as PEM. node-forge only encodes: its own RSA in JavaScript would block the event loop for a tenth of a second. */
export async function selfSigned({ privateKey, commonName, hosts, now }: SelfSignedOptions): Promise<string> {
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
  certificate.setExtensions(extensions(hosts));
  certificate.signatureOid = forge.pki.oids.sha256WithRSAEncryption!;
  certificate.siginfo.algorithmOid = certificate.signatureOid;
  certificate.signature = '';
  const tbs = (forge.pki.certificateToAsn1(certificate).value as forgeTypes.asn1.Asn1[])[0]!;
  const signature = await signOnPool(Buffer.from(forge.asn1.toDer(tbs).getBytes(), 'latin1'), privateKey);
  certificate.tbsCertificate = tbs;
  certificate.signature = signature.toString('latin1');
  return forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n');
}

/** 127 random bits that DER needs no padding for: positive, and the first byte is not zero. */
function randomSerial(): string {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial.toString('hex');
}

function extensions(hosts: readonly string[]): object[] {
  const altNames = hosts.map((host) => {
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    if (isIP(bare)) return { type: 7, ip: bare };
    if (
      /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/.test(
        bare,
      )
    )
      return { type: 2, value: bare };
    throw new AllianceError('configuration', {
      field: 'advertise',
      details: `"${host}" is no host name and no address.`,
    });
  });
  return [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
    ...(altNames.length > 0 ? [{ name: 'subjectAltName', altNames }] : []),
  ];
}

function signOnPool(data: Buffer, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign('sha256', data, key, (error, signature) => (error ? reject(error) : resolve(signature)));
  });
}
