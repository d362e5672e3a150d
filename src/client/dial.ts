/** Opens one connection to an endpoint of a partner: dial policy, TLS 1.3, pin. Nothing is written before the pin was compared. */
import { lookup as dnsLookup } from 'node:dns';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Reads } from '../channel/reads.ts';
import { type Endpoint, formatEndpoint } from '../core/endpoint.ts';
import { AllianceError } from '../core/errors.ts';
import { clientLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { fingerprintOfPeer, formatFingerprint } from '../crypto/certificate.ts';
import type { DialPolicy } from './dialPolicy.ts';

export interface DialOptions {
  readonly endpoint: Endpoint;
  readonly policy: DialPolicy;
  /** Acceptable fingerprints of the peer's key, the preferred one first; ignored for `tcp`. */
  readonly pins: readonly Buffer[];
  readonly timeoutMs?: number;
  /** Destroys the socket whenever it comes, also after it was opened. */
  readonly signal?: AbortSignal;
}

export interface Dialled {
  readonly socket: Socket;
  /** Where what the socket reads has to be taken from; it has no `data`. */
  readonly reads: Reads;
  readonly endpoint: Endpoint;
  /** What TLS showed; null over plain TCP. */
  readonly fingerprint: Buffer | null;
  /** TLS exporter value for channel binding (RFC 9266); null over plain TCP. */
  readonly exporter: Buffer | null;
}

/** RFC 9266, section 4.2: label, no context, 32 bytes. */
export const exportBinding = (socket: TLSSocket): Buffer =>
  socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));

/**
 * Name sent as SNI: which of its keys the peer should show, during a rotation. It is the beginning of a public key's hash, under a name
 * that no DNS has.
 */
export const serverNameFor = (fingerprint: Buffer): string =>
  `${fingerprint.toString('hex', 0, 16)}.key.alliance.invalid`;

/** Resolves as the system does, and lets no address through that the policy refuses. */
function policedLookup(policy: DialPolicy): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, []);
      try {
        for (const { address } of found) policy.check(hostname, address);
      } catch (refusal) {
        return callback(refusal as Error, []);
      }
      const [first] = found;
      return options.all ? callback(null, found) : callback(null, first?.address ?? '', first?.family ?? 4);
    });
  };
}

/** Errors: `dial_refused`, `unreachable`, `pin_mismatch`. */
export async function dial(options: DialOptions): Promise<Dialled> {
  const { endpoint, policy, pins } = options;
  const where = formatEndpoint(endpoint);
  if (isIP(endpoint.host) !== 0) policy.check(endpoint.host, endpoint.host);
  const reads = new Reads();
  const { onread } = reads;
  const address = { host: endpoint.host, port: endpoint.port, lookup: policedLookup(policy), onread };
  const socket =
    endpoint.scheme === 'tcp'
      ? connectTcp(address)
      : connectTls({
          ...address,
          // Trust is by pin and by nothing else: a chain to an authority proves nothing, and a resumed session shows no certificate.
          rejectUnauthorized: false,
          minVersion: 'TLSv1.3',
          maxVersion: 'TLSv1.3',
          ...(pins[0] && { servername: serverNameFor(pins[0]) }),
        });
  endWith(socket, options.signal);
  try {
    await opened(socket, endpoint.scheme === 'tcp' ? 'connect' : 'secureConnect', options);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    if (endpoint.scheme === 'tcp') return { socket, reads, endpoint, fingerprint: null, exporter: null };
    const tlsSocket = socket as TLSSocket;
    const fingerprint = fingerprintOfPeer(tlsSocket.getPeerCertificate().raw);
    if (!pins.some((pin) => equalBytes(pin, fingerprint)))
      throw new AllianceError('pin_mismatch', { details: `${where} shows ${formatFingerprint(fingerprint)}.` });
    return { socket, reads, endpoint, fingerprint, exporter: exportBinding(tlsSocket) };
  } catch (thrown) {
    socket.destroy();
    if (thrown instanceof AllianceError) throw thrown;
    throw new AllianceError('unreachable', { cause: thrown, details: `${where}: ${reasonOf(thrown)}.` });
  }
}

function endWith(socket: Socket, signal: AbortSignal | undefined): void {
  const end = () => socket.destroy();
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  socket.once('close', () => signal?.removeEventListener('abort', end));
}

const reasonOf = (thrown: unknown): string => {
  const code = (thrown as { code?: unknown }).code;
  return typeof code === 'string' ? code : thrown instanceof Error ? thrown.message : 'unknown reason';
};

function opened(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  { timeoutMs = clientLimits.connectTimeoutMs }: DialOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    socket.once(event, () => {
      clearTimeout(timer);
      resolve();
    });
    // Stays after the promise has settled: a late error of a socket that nobody holds must not end the process.
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once('close', () => {
      clearTimeout(timer);
      reject(new Error('closed while connecting'));
    });
  });
}
