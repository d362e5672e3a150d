/** Health, readiness and metrics over HTTP, for load balancers, orchestrators and Prometheus; and GlanceSync's REST API where it is switched on. */
import { type FastifyReply, fastify } from 'fastify';
import type { HostPort } from '../core/endpoint.ts';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { httpLimits } from '../core/limits.ts';
import { type GlancesyncOptions, glancesyncPrefix, serveGlancesync } from './glancesync/rest.ts';
import type { Metrics } from './metrics.ts';

export interface Readiness {
  readonly ready: boolean;
  /** One line for each thing that was looked at. */
  readonly checks: Readonly<Record<string, string>>;
}

export interface HttpOptions {
  readonly address: HostPort;
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
  /** GlanceSync's REST API; absent: it is not served. */
  readonly glancesync?: GlancesyncOptions;
}

export interface HttpFace {
  readonly address: HostPort;
  close(): Promise<void>;
}

/** `configuration` when the address cannot be listened on. */
export async function startHttp({ address, metrics, readiness, glancesync }: HttpOptions): Promise<HttpFace> {
  const app = fastify({
    logger: false,
    bodyLimit: httpLimits.bodyBytes,
    requestTimeout: httpLimits.requestTimeoutMs,
    connectionTimeout: httpLimits.requestTimeoutMs,
    forceCloseConnections: true,
    http: { maxHeaderSize: httpLimits.headerBytes },
    // What has no route, since its path cannot be decoded.
    frameworkErrors: (_error, _request, reply) => {
      const message = 'Bad request: the path cannot be read';
      void (reply as FastifyReply).code(400).send({ code: 400, message, error: { code: 400, message } });
    },
    routerOptions: { maxParamLength: httpLimits.headerBytes },
  });
  app.server.maxConnections = httpLimits.connections;

  // Alive means that the event loop turns; whether the broker can do its work is `readyz`.
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const { ready, checks } = await readiness();
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', checks });
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  if (glancesync)
    app.register(
      (scope, _options, done) => {
        serveGlancesync(scope, glancesync);
        done();
      },
      { prefix: glancesyncPrefix },
    );
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ code: 404, message: 'There is /healthz, /readyz and /metrics.' }),
  );

  try {
    await app.listen(address);
  } catch (cause) {
    const details = `Cannot listen on ${address.host}:${address.port}: ${errnoOf(cause)}.`;
    throw new AllianceError('configuration', { cause, details, field: 'http.listen' });
  }
  const bound = app.server.address();
  const port = bound && typeof bound === 'object' ? bound.port : address.port;
  return { address: { host: address.host, port }, close: () => app.close() };
}
