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
import { placeOf } from './bodies.ts';
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

const isAboutToken = (route: Route): boolean => route === 'validate' || route === 'revoke';

/** Room for it among its like; undefined where its sender has his share already. */
function roomFor(facade: Facade, { request, who }: Exchange, route: Route): (() => void) | undefined {
  const { shares, callers, connections } = facade;
  const place = placeOf(request);
  if (!isAboutToken(route)) return shares.handed.take(`${route} ${place}`);
  if (!callers.isMet(who)) return shares.strangers.take(place);
  connections.meet(request.socket);
  return shares.known.take(place);
}

/** Until it is answered, and the answer has been taken. */
async function answerBy(handle: Handler, facade: Facade, exchange: Exchange): Promise<void> {
  const { response, leave } = exchange;
  try {
    await handle(facade, exchange);
  } finally {
    if (response.destroyed) leave();
    else response.once('close', leave);
  }
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
  if (!isAboutToken(route)) return isForeign(subjectOf(exchange)) ? notFound : undefined;
  return facade.callers.refusalOf(exchange.who);
}

function read(request: IncomingMessage, response: ServerResponse, requestId: string): Exchange | undefined {
  const target = parseTarget(request.url ?? '');
  const headers = readCallerHeaders(request.rawHeaders);
  return target && headers && { request, response, target, headers, requestId, who: undefined, leave: () => undefined };
}

/** Answers one request; never throws. */
export async function dispatch(facade: Facade, request: IncomingMessage, response: ServerResponse): Promise<void> {
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
    else {
      const [name, handle] = routeOf(exchange);
      if (isAboutToken(name)) exchange.who = facade.callers.whoIs(exchange.headers);
      const refusal = refusalOf(facade, exchange, name);
      if (refusal) answer(refusal);
      else {
        route = name;
        const leave = roomFor(facade, exchange, name);
        if (!leave) answer(tooMany);
        else {
          exchange.leave = leave;
          await answerBy(handle, facade, exchange);
        }
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
