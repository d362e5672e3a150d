/** From a request to the one who answers it. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { toAllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import { facadeHeader } from '../../lproxy/keystoneHttp.ts';
import {
  type Answer,
  failed,
  looped,
  notFound,
  refusedTarget,
  tooLarge,
  tooMany,
  unauthorised,
  writeAnswer,
} from './answers.ts';
import { addressOf } from './bodies.ts';
import type { Exchange, Facade, Route } from './exchange.ts';
import { readCallerHeaders } from './headers.ts';
import { login, relay, versions } from './relay.ts';
import { parseTarget } from './target.ts';
import { revoke, subjectOf, validate } from './tokens.ts';

type Handler = (facade: Facade, exchange: Exchange) => Promise<void>;

const tokensPath = '/v3/auth/tokens';

function routeOf({ request, target: { path } }: Exchange): readonly [Route, Handler] {
  const { method } = request;
  if (path === tokensPath) {
    if (method === 'GET' || method === 'HEAD') return ['validate', validate];
    if (method === 'POST') return ['login', login];
    if (method === 'DELETE') return ['revoke', revoke];
  }
  if ((path === '/' || path === '/v3') && (method === 'GET' || method === 'HEAD')) return ['versions', versions];
  return ['relay', relay];
}

/** Undefined for what is handed on where too much of it waits for Keystone already. */
function answerBy(handle: Handler, route: Route, facade: Facade, exchange: Exchange): Promise<true | undefined> {
  const work = () => handle(facade, exchange).then(() => true as const);
  if (route === 'validate' || route === 'revoke') return work();
  return facade.shares.handed.run(`${route} ${addressOf(exchange.request)}`, work);
}

/** What is refused before anybody is asked. */
function refusalOf(facade: Facade, exchange: Exchange, route: Route): Answer | undefined {
  const { values } = exchange.headers;
  // By what it says and what is known: nobody who is not yet known makes us verify signatures. The rest Keystone refuses itself.
  const isForeign = (token: string | undefined) => !!token && facade.foreign.isForeign(token);
  if (Number(values.get('content-length') ?? 0) > facadeLimits.requestBytes) return tooLarge;
  // A partner's token is for its holder to be recognised by, and no right to ask about others.
  if (isForeign(values.get('x-auth-token')) || isForeign(values.get('x-service-token')))
    return unauthorised(facade.root);
  // Where it is no question about a token, Keystone would read a partner's token as one of its own.
  if (route !== 'validate' && route !== 'revoke' && isForeign(subjectOf(exchange))) return notFound;
  return undefined;
}

function read(request: IncomingMessage, response: ServerResponse, requestId: string): Exchange | undefined {
  const target = parseTarget(request.url ?? '');
  const headers = readCallerHeaders(request.rawHeaders);
  return target && headers && { request, response, target, headers, requestId };
}

/** Answers one request; never throws. */
export async function dispatch(facade: Facade, request: IncomingMessage, response: ServerResponse, busy: boolean) {
  const startedAt = performance.now();
  const requestId = `req-${randomUUID()}`;
  const answer = (given: Answer): void => {
    const fixed = ['x-openstack-request-id', requestId, ...facade.mark];
    // What is left of a body that nobody reads would otherwise be waited for.
    const end = request.complete ? fixed : ['Connection', 'close', ...fixed];
    writeAnswer(response, given, end, request.method === 'HEAD');
  };
  let route: Route = 'refused';
  try {
    const exchange = read(request, response, requestId);
    if (request.headers[facadeHeader] !== undefined) answer(looped);
    else if (!exchange) answer(refusedTarget);
    else if (busy) answer(tooMany);
    else {
      const [name, handle] = routeOf(exchange);
      const refusal = refusalOf(facade, exchange, name);
      if (refusal) answer(refusal);
      else {
        route = name;
        if (!(await answerBy(handle, name, facade, exchange))) answer(tooMany);
      }
    }
  } catch (thrown) {
    const error = toAllianceError(thrown);
    if (!request.socket.destroyed) facade.log.warn({ err: error, requestId, route }, 'A request at the facade failed.');
    if (response.headersSent) response.destroy();
    else answer(error.errorName === 'frame_too_large' ? tooLarge : failed(error));
  }
  facade.telemetry.facadeRequest(route, response.statusCode, performance.now() - startedAt);
}
