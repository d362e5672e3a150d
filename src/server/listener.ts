/** The broker's doors: TLS and plain TCP, with limits on who may stand in them. */
import { constants } from 'node:crypto';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createSecureContext, createServer as createTlsServer, type SecureContext, type TLSSocket } from 'node:tls';
import { chain, type Next } from '../channel/interceptor.ts';
import { mayAttach } from '../channel/permissions.ts';
import { exportBinding, serverNameFor } from '../client/dial.ts';
import { addressKey } from '../core/addressKey.ts';
import { formatHostPort, type HostPort } from '../core/endpoint.ts';
import { AllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { trustLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import type { Identity } from '../crypto/identity.ts';
import type { Contract, MethodName } from '../wire/methods.ts';
import { ServerConnection } from './connection.ts';
import type { Handler, InboundCall, ServerContext } from './context.ts';
import { handlers } from './handlers/index.ts';
import { interceptorsFor } from './interceptors.ts';

export class AllianceServer {
  readonly #context: ServerContext;
  readonly #connections = new Set<ServerConnection>();
  /** Sockets by address, those in the TLS handshake included. */
  readonly #byAddress = new Map<string, number>();
  readonly #servers: Server[] = [];
  readonly #secureContexts = new Map<string, SecureContext>();
  readonly #run: Next<InboundCall>;
  readonly #requestPrefix = Math.random().toString(36).slice(2, 8);
  #requests = 0;
  #sockets = 0;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#run = chain(interceptorsFor(context), (call) => {
      const handler = handlers[call.method] as Handler<MethodName>;
      return handler(context, call.argument as Contract[MethodName]['args'], call);
    });
    context.view.onLook((epochChanged) => this.#reviewTrust(epochChanged));
  }

  /** Connections now open. */
  get connections(): number {
    return this.#connections.size;
  }

  listenTcp(address: HostPort): Promise<HostPort> {
    const server = createTcpServer({ noDelay: true, keepAlive: true }, (socket) => this.#accept(socket, null));
    return this.#listen(server, address);
  }

  listenTls(address: HostPort): Promise<HostPort> {
    const server = createTlsServer(
      {
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
        handshakeTimeout: this.#context.limits.tlsHandshakeTimeoutMs,
        SNICallback: (name, callback) => callback(null, this.#secureContext(name)),
        noDelay: true,
        keepAlive: true,
      },
      (socket) => {
        // A socket that its peer has already reset has no keying material to export.
        if (!socket.destroyed) this.#accept(socket, exportBinding(socket));
      },
    );
    server.on('connection', (socket: Socket) => this.#admit(socket) && this.#admitHandshake(socket));
    server.on('tlsClientError', (_error: Error, socket: TLSSocket) => {
      this.#context.telemetry.refusal('tls');
      socket.destroy();
    });
    // Who sends no SNI is served without asking SNICallback.
    const setDefault = () => server.setSecureContext(this.#secureOptions(this.#context.view.current.identity));
    setDefault();
    this.#context.view.onLook((epochChanged) => {
      if (!epochChanged) return;
      this.#secureContexts.clear();
      setDefault();
    });
    return this.#listen(server, address);
  }

  /** Takes no new connections, lets calls in flight finish for a while, then ends the rest. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const connection of this.#connections) connection.drain();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.close(new AllianceError('shutting_down'));
    }, this.#context.limits.drainOnShutdownMs);
    await Promise.all(closed);
    clearTimeout(timer);
    clearInterval(this.#sweeper);
  }

  #listen(server: Server, address: HostPort): Promise<HostPort> {
    this.#servers.push(server);
    this.#sweeper ??= setInterval(() => this.#sweep(), trustLimits.epochPollMs);
    this.#sweeper.unref();
    return new Promise((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        const details = `Cannot listen on ${formatHostPort(address)}: ${cause.code ?? cause.message}.`;
        reject(new AllianceError('configuration', { cause, details, field: 'listen' }));
      });
      server.listen({ ...address, backlog: 1024 }, () => {
        const bound = server.address();
        // From here on an error of the server itself (too many open files) must not end the process.
        server.on('error', (error) => this.#context.log.error({ err: error }, 'The listener failed.'));
        resolve(bound && typeof bound === 'object' ? { host: address.host, port: bound.port } : address);
      });
    });
  }

  /** Counts a socket in, or ends it at once. */
  #admit(socket: Socket): boolean {
    const address = addressKey(socket.remoteAddress ?? 'unknown');
    const { connections, connectionsPerAddress } = this.#context.config().limits;
    const fromThere = this.#byAddress.get(address) ?? 0;
    // A late error of a socket that nobody holds must not end the process.
    socket.on('error', () => undefined);
    if (this.#sockets >= connections || fromThere >= connectionsPerAddress) {
      this.#context.telemetry.refusal('connections');
      socket.destroy();
      return false;
    }
    this.#sockets++;
    this.#byAddress.set(address, fromThere + 1);
    socket.once('close', () => {
      this.#sockets--;
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    });
    return true;
  }

  /** A TLS handshake costs us a signature, so an address has so many a second; those on plain TCP are counted call by call. */
  #admitHandshake(socket: Socket): void {
    const { config, limits, rates, clock, telemetry } = this.#context;
    if (config().limits.unauthenticatedPerS === 0) return;
    const rate = { perS: limits.tlsHandshakesPerS, burst: limits.tlsHandshakesBurst };
    const address = addressKey(socket.remoteAddress ?? 'unknown');
    if (rates.addresses.take(`tls:${address}`, rate, clock.now()) === 0) return;
    telemetry.refusal('tls_rate');
    socket.destroy();
  }

  #accept(socket: Socket, exporter: Buffer | null): void {
    if (exporter === null && !this.#admit(socket)) return;
    if (socket.destroyed) return;
    const connection = new ServerConnection({
      socket,
      context: this.#context,
      run: this.#run,
      tls: exporter !== null,
      exporter,
      nextRequestId: () => `${this.#requestPrefix}-${(++this.#requests).toString(36)}`,
      channelsOf: (uid) => this.#channelsOf(uid),
      onClose: (closed) => this.#connections.delete(closed),
    });
    this.#connections.add(connection);
  }

  #channelsOf(uid: PartnerUid): number {
    let count = 0;
    for (const { channel, confirmed } of this.#connections) if (confirmed && channel?.partner.uid === uid) count++;
    return count;
  }

  #sweep(): void {
    const now = this.#context.clock.now();
    const mono = performance.now();
    for (const connection of this.#connections) connection.sweep(now, mono);
  }

  /** Closes the channels whose trust has ended; after a change, also those whose session is gone. */
  #reviewTrust(epochChanged: boolean): void {
    const { view, store, clock, log } = this.#context;
    for (const connection of this.#connections) {
      const { channel } = connection;
      if (!channel) continue;
      const reason = this.#endOfTrust(channel);
      if (reason) connection.close(new AllianceError('partner_not_active', { details: reason }));
      else if (epochChanged) {
        store.sessions.findLive(channel.session.sid, 'responder', clock.now()).then(
          (session) => {
            if (!session)
              connection.close(new AllianceError('session_invalid', { details: 'The session was closed.' }));
          },
          (error: unknown) => log.warn({ err: error }, 'A session could not be read.'),
        );
      }
    }
    if (view.lost) log.error('No database: every channel is closed.');
  }

  #endOfTrust({ partner: then, session }: NonNullable<ServerConnection['channel']>): string | undefined {
    const { view } = this.#context;
    if (view.lost) return 'There is no database.';
    const partner = view.partnerByUid(then.uid);
    if (!partner || !mayAttach(view.stateOf(partner))) return 'The partner is not active.';
    if (!view.pinsOf(partner).some((pin) => equalBytes(pin.fingerprint, session.partnerFingerprint)))
      return "The partner's key is no longer valid.";
    const ours = view.identities.some(({ identity }) => equalBytes(identity.fingerprint, session.ownFingerprint));
    return ours ? undefined : 'Our key is no longer valid.';
  }

  /** During a rotation the dialler names by SNI which of our keys it pins. */
  #secureContext(serverName: string): SecureContext {
    const { view } = this.#context;
    const own = view.identities.find(({ identity }) => serverNameFor(identity.fingerprint) === serverName);
    const { identity } = own ?? view.current;
    const id = identity.fingerprint.toString('hex');
    const known = this.#secureContexts.get(id) ?? createSecureContext(this.#secureOptions(identity));
    this.#secureContexts.set(id, known);
    return known;
  }

  #secureOptions({ keyPem, certificatePem }: Identity) {
    // A resumed session would show no certificate.
    const secureOptions = constants.SSL_OP_NO_TICKET;
    return { key: keyPem, cert: certificatePem, minVersion: 'TLSv1.3' as const, secureOptions };
  }
}
