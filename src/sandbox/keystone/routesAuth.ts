/** Versions, `/v3/auth/*` and the feed of revocations. */
import type { FastifyRequest } from 'fastify';
import { type Json, subjectToken } from './authentication.ts';
import { badRequest } from './errors.ts';
import { callerOf, enforce } from './policy.ts';
import { showDomain, showEvent, showProject } from './resources.ts';
import { authorise, type Context, search, showList } from './routes.ts';

const version = (base: string) => ({
  id: 'v3.14',
  status: 'stable',
  updated: '2020-04-07T00:00:00Z',
  links: [{ rel: 'self', href: `${base}/` }],
  'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
});

function addVersions({ app, base }: Context): void {
  app.get('/', (_request, reply) =>
    reply
      .code(300)
      .header('location', `${base()}/`)
      .send({ versions: { values: [version(base())] } }),
  );
  app.get('/v3', () => ({ version: version(base()) }));
}

const wantsCatalog = (request: FastifyRequest) => !('nocatalog' in search(request));

function addTokens(context: Context): void {
  const { app, tokens, authentication } = context;
  const path = '/v3/auth/tokens';

  app.post(path, (request, reply) => {
    const record = authentication.authenticate((request.body ?? {}) as Json);
    reply.code(201).header('x-subject-token', record.token);
    return tokens.body(record, wantsCatalog(request));
  });

  app.get(path, (request, reply) => {
    const caller = callerOf(tokens, request.headers['x-auth-token']);
    const record = tokens.check(subjectToken(request.headers), search(request).allow_expired === '1');
    enforce(caller, 'validate_token', record.userId);
    reply.header('x-subject-token', record.token);
    return tokens.body(record, wantsCatalog(request));
  });

  app.delete(path, (request, reply) => {
    const caller = callerOf(tokens, request.headers['x-auth-token']);
    const subject = request.headers['x-subject-token'];
    // As there: what is not named cannot be the caller's own.
    if (subject === undefined) enforce(caller, 'revoke_token');
    const record = tokens.check(subjectToken(request.headers));
    enforce(caller, 'revoke_token', record.userId);
    tokens.revoke(record);
    return reply.code(204).send();
  });
}

function addOwnViews(context: Context): void {
  const { app, state, tokens, base } = context;

  app.get('/v3/auth/catalog', (request) => {
    const { record } = authorise(context, request, 'get_auth_catalog');
    return { catalog: tokens.catalog(record), links: { self: `${base()}/auth/catalog` } };
  });

  app.get('/v3/auth/projects', (request) => {
    const { record } = authorise(context, request, 'get_auth_projects');
    const projects = [...state.projects.values()].filter(
      ({ id, enabled }) => enabled && state.rolesOf(record.userId, { kind: 'project', id }).length > 0,
    );
    const shown = projects.map((project) => showProject(base(), project));
    return showList(base(), request, 'projects', shown);
  });

  app.get('/v3/auth/domains', (request) => {
    const { record } = authorise(context, request, 'get_auth_domains');
    const domains = [...state.domains.values()].filter(
      ({ id, enabled }) => enabled && state.rolesOf(record.userId, { kind: 'domain', id }).length > 0,
    );
    const shown = domains.map((domain) => showDomain(base(), domain));
    return showList(base(), request, 'domains', shown);
  });
}

function addRevocations(context: Context): void {
  const { app, state, base } = context;
  app.get('/v3/OS-REVOKE/events', (request) => {
    authorise(context, request, 'list_revoke_events');
    const { since } = search(request);
    const from = since === undefined ? 0 : Date.parse(since);
    if (Number.isNaN(from)) throw badRequest(`invalidate date format ${since}`);
    const events = state.events.filter((event) => event.issuedBefore >= from).map(showEvent);
    return { events, links: { next: null, self: `${base()}/OS-REVOKE/events`, previous: null } };
  });
}

export function addAuthRoutes(context: Context): void {
  addVersions(context);
  addTokens(context);
  addOwnViews(context);
  addRevocations(context);
}
