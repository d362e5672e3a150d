/**
 * The Keystone-compatible face: services of this cloud have it as their `auth_url`. Tokens of this cloud and everything else go to the
 * local Keystone as they came; tokens of partner clouds are answered here.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { HostPort } from '../../core/endpoint.ts';
import { errnoOf } from '../../core/errno.ts';
import { AllianceError } from '../../core/errors.ts';
import { connectionLimits, facadeLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { Telemetry } from '../../core/telemetry.ts';
import type { Keystone } from '../../lproxy/keystone.ts';
import { facadeHeader } from '../../lproxy/keystoneHttp.ts';
import { createUpstream } from '../../lproxy/upstream.ts';
import type { ForeignTokens } from '../../token/foreign.ts';
import type { Localiser } from '../../token/localise.ts';
import { Arrivals } from './bodies.ts';
import { Callers } from './callers.ts';
import { Connections } from './connections.ts';
import { dispatch } from './dispatch.ts';
import type { Facade, OwnTokens } from './exchange.ts';
import { assertOtherAddress, probeKeystone, rootOf } from './self.ts';
import { Shares } from './shares.ts';
import { ValidationRecords } from './validations.ts';

type Widened<T> = { readonly [K in keyof T]: number };
export type FacadeLimits = Widened<
  Pick<
    typeof facadeLimits,
    | 'connections'
    | 'connectionsPerAddress'
    | 'knownInFlight'
    | 'strangersInFlight'
    | 'foreignInFlight'
    | 'rememberedInFlight'
    | 'handedInFlight'
    | 'upstreamConnections'
    | 'headersTimeoutMs'
    | 'requestTimeoutMs'
    | 'idleTimeoutMs'
    | 'checkEveryMs'
    | 'upstreamTimeoutMs'
  >
>;

export interface FacadeTls {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface FacadeOptions {
  readonly address: HostPort;
  readonly tls?: FacadeTls | undefined;
  /** URL that services reach it by; made of the address when not given. */
  readonly url?: string | undefined;
  readonly keystone: Keystone;
  /** The same Keystone: its `auth_url`, and authorities to trust for it. */
  readonly upstream: { readonly authUrl: string; readonly cacert?: string | undefined };
  readonly foreign: ForeignTokens;
  readonly localiser: Localiser;
  readonly audit: Facade['audit'];
  readonly own: OwnTokens;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** Instead of `facadeLimits`. */
  readonly limits?: Partial<FacadeLimits>;
}

export interface FacadeFace {
  readonly address: HostPort;
  /** Takes another certificate, for new connections. @throws AllianceError configuration */
  renewTls(tls: FacadeTls): void;
  /** Takes no more requests, answers those in flight within 10 s. */
  close(): Promise<void>;
}

const badCertificate = (cause: unknown): AllianceError =>
  new AllianceError('configuration', {
    cause,
    field: 'facade.certificate_file',
    details: `The certificate or key of the facade cannot be used (${errnoOf(cause)}).`,
  });

function openServer(options: FacadeOptions, limits: FacadeLimits): Server | TlsServer {
  const http: ServerOptions = {
    maxHeaderSize: facadeLimits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: facadeLimits.keepAliveMs,
    connectionsCheckingInterval: limits.checkEveryMs,
    requireHostHeader: true,
    insecureHTTPParser: false,
  };
  const { tls } = options;
  if (!tls) return createServer(http);
  const handshakeTimeout = connectionLimits.tlsHandshakeTimeoutMs;
  try {
    return createTlsServer({ ...http, ...tls, minVersion: 'TLSv1.2', handshakeTimeout });
  } catch (cause) {
    throw badCertificate(cause);
  }
}

async function listen(server: Server | TlsServer, { host, port }: HostPort): Promise<HostPort> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((cause: unknown) => {
    const details = `Cannot listen on ${host}:${port}: ${errnoOf(cause)}.`;
    throw new AllianceError('configuration', { cause, details, field: 'facade.listen' });
  });
  return { host, port: (server.address() as AddressInfo).port };
}

function arrivalsOf(): Facade['arrivals'] {
  const { bodiesPerAddress, bodies, streamsPerAddress, streams } = facadeLimits;
  return {
    whole: new Arrivals({ perAddress: bodiesPerAddress, total: bodies }),
    streamed: new Arrivals({ perAddress: streamsPerAddress, total: streams }),
  };
}

/** `configuration` when it cannot listen, or when its Keystone is a facade. */
export async function startFacade(options: FacadeOptions): Promise<FacadeFace> {
  const limits: FacadeLimits = { ...facadeLimits, ...options.limits };
  const { upstream: place, keystone, clock, log, telemetry, foreign, localiser, audit, own } = options;
  // Found out before anything listens, where configuration says it all.
  rootOf(options.url, options.address, options.tls !== undefined);
  const instance = randomBytes(12).toString('base64url');
  const server = openServer(options, limits);
  const { upstreamTimeoutMs: timeoutMs, upstreamConnections: connections } = limits;
  const connect = () => createUpstream({ ...place, instance, timeoutMs, connections });
  const upstreams = { tokens: connect(), logins: connect(), relay: connect() };
  const validations = new ValidationRecords({ audit, now: () => clock.now(), log, telemetry });
  const close = async () => {
    const drained = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    const timer = setTimeout(() => server.closeAllConnections(), connectionLimits.drainOnShutdownMs);
    await drained;
    clearTimeout(timer);
    await Promise.all([...Object.values(upstreams), validations].map((each) => each.close()));
  };
  try {
    const address = await listen(server, options.address);
    const root = rootOf(options.url, address, options.tls !== undefined);
    const callers = new Callers({ upstream: upstreams.tokens, keystone, clock, root });
    const mark = [facadeHeader, instance];
    const facade: Facade = {
      upstreams,
      arrivals: arrivalsOf(),
      shares: {
        known: new Shares(limits.knownInFlight),
        strangers: new Shares(limits.strangersInFlight),
        foreign: new Shares(limits.foreignInFlight),
        remembered: new Shares(limits.rememberedInFlight),
        handed: new Shares(limits.handedInFlight),
      },
      connections: new Connections({ perAddress: limits.connectionsPerAddress, total: limits.connections }, telemetry),
      callers,
      foreign,
      localiser,
      audit,
      validations,
      own,
      log,
      telemetry,
      root,
      rootUrl: new URL(root),
      mark,
    };
    serve(server, facade, limits);
    await assertOtherAddress(place.authUrl, address, root);
    await probeKeystone(upstreams.tokens, log);
    return { address, renewTls: (tls) => renew(server, tls), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function serve(server: Server | TlsServer, facade: Facade, limits: FacadeLimits): void {
  const { connections } = facade;
  server.timeout = limits.idleTimeoutMs;
  server.on('connection', (socket) => connections.admit(socket));
  server.on('request', (request, response) => {
    const end = connections.begin(request.socket);
    response.once('close', () => {
      end();
      // A connection that is kept alive is idle only now, and nobody else ends it.
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
    void dispatch(facade, request, response);
  });
}

function renew(server: Server | TlsServer, tls: FacadeTls): void {
  if (!('setSecureContext' in server)) return;
  try {
    server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' });
  } catch (cause) {
    throw badCertificate(cause);
  }
}
