/** The HTTP face: routes, Keystone's headers and error bodies, and faults ahead of everything. */
import { randomUUID } from 'node:crypto';
import fastify, { type FastifyInstance } from 'fastify';
import { Authentication } from './authentication.ts';
import { ApiError, unauthorized } from './errors.ts';
import type { Faults } from './faults.ts';
import { notJson } from './routes.ts';
import { addAuthRoutes } from './routesAuth.ts';
import { addCatalogRoutes } from './routesCatalog.ts';
import { addGrantRoutes } from './routesGrants.ts';
import { addGroupRoutes } from './routesGroups.ts';
import { addIdentityRoutes } from './routesIdentity.ts';
import type { KeystoneState } from './state.ts';
import type { Tokens } from './tokens.ts';

export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
}

const rememberedRequests = 10_000;
const bodyBytes = 114_688;

export interface ServerOptions {
  readonly state: KeystoneState;
  readonly tokens: Tokens;
  readonly faults: Faults;
  readonly requests: SeenRequest[];
  readonly base: () => string;
}

const notFoundPage =
  '<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not found ' +
  'on the server. If you entered the URL manually please check your spelling and try again.</p>\n';

export function createServer({ state, tokens, faults, requests, base }: ServerOptions): FastifyInstance {
  const app = fastify({
    forceCloseConnections: true,
    keepAliveTimeout: 65_000,
    bodyLimit: bodyBytes,
    routerOptions: { ignoreTrailingSlash: true },
  });

  app.addHook('onRequest', async (request, reply) => {
    if (requests.length >= rememberedRequests) requests.shift();
    requests.push({ method: request.method, path: request.url });
    reply.header('vary', 'X-Auth-Token').header('x-openstack-request-id', `req-${randomUUID()}`);
    if (await faults.apply(request, reply)) return reply;
  });

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, text, done) => {
    try {
      const body: unknown = text === '' ? {} : JSON.parse(String(text));
      done(typeof body === 'object' && body !== null ? null : notJson(), body);
    } catch {
      done(notJson());
    }
  });

  app.setErrorHandler((thrown, _request, reply) => {
    const error = thrown instanceof ApiError ? thrown : asApiError(thrown);
    if (error.status === 401) reply.header('www-authenticate', `Keystone uri="${base()}"`);
    return reply
      .code(error.status)
      .send({ error: { code: error.status, ...error.extra, message: error.message, title: error.title } });
  });

  answerUnknownPaths(app);
  const context = { app, state, tokens, authentication: new Authentication(state, tokens), base };
  addAuthRoutes(context);
  addCatalogRoutes(context);
  addIdentityRoutes(context);
  addGrantRoutes(context);
  addGroupRoutes(context);
  return app;
}

/** What fastify itself refuses keeps its status; anything else is a fault of this server. */
function asApiError(thrown: unknown): ApiError {
  const { statusCode, message } = thrown as { statusCode?: number; message?: string };
  if (statusCode === 401) return unauthorized();
  return new ApiError(statusCode ?? 500, 'Error', message ?? 'Internal Server Error');
}

/** 405 where another method has a route, else Keystone's 404 page. */
function answerUnknownPaths(app: FastifyInstance): void {
  const methods = new Map<string, { readonly form: RegExp; readonly allowed: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    const form = new RegExp(`^${url.replace(/:[a-z]+/gi, '[^/]+')}/?$`);
    const known = methods.get(url) ?? { form, allowed: new Set(['OPTIONS']) };
    for (const each of [method].flat()) known.allowed.add(each);
    methods.set(url, known);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!;
    for (const { form, allowed } of methods.values())
      if (form.test(path))
        return reply
          .code(405)
          .header('allow', [...allowed].join(', '))
          .send({ message: 'The method is not allowed for the requested URL.' });
    return reply.code(404).type('text/html; charset=utf-8').send(notFoundPage);
  });
}
