/** The HTTP face: routes, Glance's error pages, and faults ahead of everything. */
import { randomUUID } from 'node:crypto';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AuthTokenOptions } from '../service/authToken.ts';
import { addAuthentication } from './callers.ts';
import { badRequest, errorAnswer, GlanceError } from './errors.ts';
import type { Fault, Faults } from './faults.ts';
import type { PageSizes } from './listing.ts';
import { addDataRoutes } from './routesData.ts';
import { addImageRoutes } from './routesImages.ts';
import { addMemberRoutes } from './routesMembers.ts';
import type { GlanceState } from './state.ts';

export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Its header of that name. */
  readonly range: string | null;
  /** Of the answer; null until there is one, and where none was given. */
  status: number | null;
}

export interface ServerOptions {
  readonly state: GlanceState;
  readonly faults: Faults;
  readonly requests: SeenRequest[];
  readonly auth: AuthTokenOptions;
  readonly pageSizes: PageSizes;
  /** What stands before `/v2` in paths: empty, or such as `/image`. */
  readonly prefix: string;
}

const rememberedRequests = 100_000;
const bodyBytes = 1024 * 1024;

const faultsWithinBytes = new WeakMap<object, Fault>();

/** What is to happen to the bytes of an image in this request or its answer. */
export const faultOf = (request: FastifyRequest): Fault | undefined => faultsWithinBytes.get(request);

export const reset = (reply: FastifyReply): void => {
  reply.raw.socket?.resetAndDestroy();
};

function sendError(request: FastifyRequest, reply: FastifyReply, status: number, message: string): FastifyReply {
  const { type, body } = errorAnswer(status, message, request.headers.accept);
  return reply.code(status).type(type).send(body);
}

/** Whether the request is dealt with. */
async function applyFault(
  faults: Faults,
  fault: Fault,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<boolean> {
  const {
    kind,
    after,
    status = 500,
    message = 'The server has either erred or is incapable of performing it.',
  } = fault;
  if (after !== undefined || !['reset', 'hang', 'slow', 'status', 'malformed'].includes(kind)) {
    faultsWithinBytes.set(request, fault);
    return false;
  }
  if (kind === 'slow') {
    await faults.pause(fault);
    return false;
  }
  if (kind === 'status') {
    if (fault.retryAfterS !== undefined) reply.header('retry-after', String(fault.retryAfterS));
    sendError(request, reply, status, message);
  } else if (kind === 'malformed') reply.code(200).type('application/json').send('{"images": [{"id": ');
  else {
    reply.hijack();
    if (kind === 'reset') reset(reply);
  }
  return true;
}

function addParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  // Bytes of images are taken by their route, piece by piece.
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, JSON.parse(String(text)));
    } catch {
      done(badRequest('Malformed JSON in request body.'));
    }
  });
}

function addErrors(app: FastifyInstance): void {
  app.setErrorHandler((thrown, request, reply) => {
    if (thrown instanceof GlanceError) return sendError(request, reply, thrown.status, thrown.message);
    const { statusCode = 500, message } = thrown as { statusCode?: number; message?: string };
    return sendError(request, reply, statusCode, message ?? '');
  });
  app.setNotFoundHandler((request, reply) => sendError(request, reply, 404, 'The resource could not be found.'));
}

const versionNumbers = ['2.15', '2.13', '2.9', '2.7', '2.0'];

function addVersions(app: FastifyInstance): void {
  const body = (request: FastifyRequest) => ({
    versions: versionNumbers.map((number, index) => ({
      id: `v${number}`,
      status: index === 0 ? 'CURRENT' : 'SUPPORTED',
      links: [{ rel: 'self', href: `http://${request.headers.host}${app.prefix}/v2/` }],
    })),
  });
  app.get('/', async (request, reply) => reply.code(300).send(body(request)));
  app.get('/versions', async (request) => body(request));
}

export function createServer({ state, faults, requests, auth, pageSizes, prefix }: ServerOptions): FastifyInstance {
  const app = fastify({
    forceCloseConnections: true,
    keepAliveTimeout: 65_000,
    bodyLimit: bodyBytes,
    routerOptions: { ignoreTrailingSlash: true },
  });
  const seen = new WeakMap<object, SeenRequest>();

  app.addHook('onRequest', async (request, reply) => {
    if (requests.length >= rememberedRequests) requests.shift();
    const range = request.headers.range ?? null;
    const entry: SeenRequest = { method: request.method, path: request.url, range, status: null };
    requests.push(entry);
    seen.set(request, entry);
    reply.header('x-openstack-request-id', `req-${randomUUID()}`);
    const fault = faults.take(request.method, request.url);
    if (fault && (await applyFault(faults, fault, request, reply))) return reply;
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (faultOf(request)?.kind === 'lost') reset(reply);
    else seen.get(request)!.status = reply.statusCode;
    return payload;
  });

  addParsers(app);
  addErrors(app);
  app.register(
    async (root) => {
      addVersions(root);
      root.register(async (v2) => {
        addAuthentication(v2, auth);
        const context = { app: v2, state, faults, pageSizes };
        addImageRoutes(context);
        addDataRoutes(context);
        addMemberRoutes(context);
      });
    },
    prefix === '' ? {} : { prefix },
  );
  return app;
}
