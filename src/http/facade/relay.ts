/** Handing a request on to Keystone and its answer back, as they came. */
import { pipeline } from 'node:stream/promises';
import { AllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import { time } from '../../lproxy/keystoneBodies.ts';
import { type UpstreamAnswer, upstreamError } from '../../lproxy/upstream.ts';
import { addressOf, isLong, readBody, streamBody } from './bodies.ts';
import type { Exchange, Facade } from './exchange.ts';
import { forwardedHeaders, headerOf, passedAnswerHeaders, withoutHeaders } from './headers.ts';
import { rewriteCatalog, rewriteVersions, rewriteVersionUrl } from './rewrite.ts';

/** Ends Keystone's work when the caller goes away. */
function signalOf({ response }: Exchange): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  return controller.signal;
}

export interface Asked {
  /** Which of the connections to Keystone. */
  readonly over: keyof Facade['upstreams'];
  /** The answer is to be read, so it must not be compressed. */
  readonly plain?: boolean;
}

/** Keystone hears of a request when its body is here, but for long ones that are only handed on. */
export async function ask(facade: Facade, exchange: Exchange, { over, plain = false }: Asked): Promise<UpstreamAnswer> {
  const { request, target, headers } = exchange;
  const passed = plain ? withoutHeaders(headers.passed, 'accept-encoding') : headers.passed;
  const signal = signalOf(exchange);
  const streams = over === 'relay' && isLong(exchange);
  const body = streams
    ? streamBody(facade.arrivals.streamed, exchange)
    : await readBody(facade.arrivals.whole, exchange);
  return facade.upstreams[over].send({
    method: request.method!,
    path: target.raw,
    headers: [...passed, ...forwardedHeaders(addressOf(request), facade.rootUrl)],
    body,
    signal,
  });
}

/** Streams an answer to the caller, who may take as long over it as he likes. */
async function pass(facade: Facade, { response }: Exchange, answer: UpstreamAnswer): Promise<void> {
  response.writeHead(answer.status, [...passedAnswerHeaders(answer.headers), ...facade.mark] as never);
  await pipeline(answer.body, response);
}

/** Hands on an answer that was read, so that its connection is free again; its text may have changed. */
export function passRead(
  facade: Facade,
  { request, response }: Exchange,
  { status, headers }: Pick<UpstreamAnswer, 'status' | 'headers'>,
  body: Buffer | string,
): void {
  const isBare = request.method === 'HEAD' || status === 204 || status === 304;
  const passed = isBare ? passedAnswerHeaders(headers) : withoutHeaders(passedAnswerHeaders(headers), 'content-length');
  const length = isBare ? [] : ['Content-Length', String(Buffer.byteLength(body))];
  response.writeHead(status, [...passed, ...length, ...facade.mark] as never);
  response.end(isBare ? undefined : body);
}

/** @throws AllianceError keystone_malformed for more than `mostBytes`; that of a connection that broke */
export async function readAnswer({ body }: UpstreamAnswer, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > mostBytes)
        throw new AllianceError('keystone_malformed', { details: `An answer of more than ${mostBytes} bytes.` });
      chunks.push(chunk);
    }
  } catch (thrown) {
    throw upstreamError(thrown);
  }
  return Buffer.concat(chunks);
}

/** Every path that is none of ours. */
export async function relay(facade: Facade, exchange: Exchange): Promise<void> {
  await pass(facade, exchange, await ask(facade, exchange, { over: 'relay' }));
}

const isReadable = ({ headers }: UpstreamAnswer): boolean => headerOf(headers, 'content-encoding') === undefined;

/** `GET /` and `GET /v3`: where clients learn the URL of the API. */
export async function versions(facade: Facade, exchange: Exchange): Promise<void> {
  const answer = await ask(facade, exchange, { over: 'logins', plain: true });
  const location = headerOf(answer.headers, 'location');
  const headers =
    location === undefined
      ? answer.headers
      : [...withoutHeaders(answer.headers, 'location'), 'Location', rewriteVersionUrl(location, facade.root)];
  const body = await readAnswer(answer, facadeLimits.answerBytes);
  if (answer.status >= 400 || !isReadable(answer)) return passRead(facade, exchange, answer, body);
  passRead(facade, exchange, { status: answer.status, headers }, rewriteVersions(body.toString(), facade.root));
}

const expiry = /"expires_at":\s*"([^"]+)"/;
const firstAuditId = /"audit_ids":\s*\[\s*"([^"]+)"/;

/** `POST /v3/auth/tokens`: Keystone logs in, and its catalog then leads to the facade. */
export async function login(facade: Facade, exchange: Exchange): Promise<void> {
  const answer = await ask(facade, exchange, { over: 'logins', plain: true });
  const body = await readAnswer(answer, facadeLimits.answerBytes);
  if (answer.status !== 201 || !isReadable(answer)) return passRead(facade, exchange, answer, body);
  const text = body.toString();
  passRead(facade, exchange, answer, rewriteCatalog(text, facade.root));
  const token = headerOf(answer.headers, 'x-subject-token');
  const expiresAt = time.safeParse(expiry.exec(text)?.[1]);
  const auditId = firstAuditId.exec(text)?.[1];
  if (token && expiresAt.success) facade.own.issued({ token, expiresAt: expiresAt.data, auditId });
}
