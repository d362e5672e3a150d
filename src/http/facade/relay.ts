/** Handing a request on to Keystone and its answer back, as they came. */
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import { time } from '../../lproxy/keystoneBodies.ts';
import { type UpstreamAnswer, upstreamError } from '../../lproxy/upstream.ts';
import type { Exchange, Facade } from './exchange.ts';
import { forwardedHeaders, headerOf, passedAnswerHeaders, withoutHeaders } from './headers.ts';
import { rewriteCatalog, rewriteVersions, rewriteVersionUrl } from './rewrite.ts';

/** The body of a request; undici may end this stream without ending the caller's connection. */
function bodyOf({ request, headers }: Exchange): Transform | null {
  const length = headers.values.get('content-length');
  if (request.headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) return null;
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(bytes > facadeLimits.requestBytes ? new AllianceError('frame_too_large', { field: 'body' }) : null, chunk);
    },
  });
  // Once undici has given it up there may be nobody left to hear of an error.
  counted.on('error', () => undefined);
  return request.pipe(counted);
}

/** Ends Keystone's work when the caller goes away. */
function signalOf({ response }: Exchange): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  return controller.signal;
}

/** `plain`: the answer is to be read, so it must not be compressed. */
export function ask(facade: Facade, exchange: Exchange, plain = false): Promise<UpstreamAnswer> {
  const { request, target, headers } = exchange;
  const passed = plain ? withoutHeaders(headers.passed, 'accept-encoding') : headers.passed;
  return facade.upstream.send({
    method: request.method!,
    path: target.raw,
    headers: [...passed, ...forwardedHeaders(request.socket.remoteAddress ?? 'unknown', facade.rootUrl)],
    body: bodyOf(exchange),
    signal: signalOf(exchange),
  });
}

/** Streams an answer to the caller. */
export async function pass(facade: Facade, { response }: Exchange, answer: UpstreamAnswer): Promise<void> {
  response.writeHead(answer.status, [...passedAnswerHeaders(answer.headers), ...facade.mark] as never);
  await pipeline(answer.body, response);
}

/** The same for an answer that was read, whose text may have changed. */
export function passText(
  facade: Facade,
  { request, response }: Exchange,
  { status, headers }: Pick<UpstreamAnswer, 'status' | 'headers'>,
  text: string,
): void {
  const passed = withoutHeaders(passedAnswerHeaders(headers), 'content-length');
  const length = request.method === 'HEAD' ? headerOf(headers, 'content-length') : String(Buffer.byteLength(text));
  const lengths = length === undefined ? [] : ['Content-Length', length];
  response.writeHead(status, [...passed, ...lengths, ...facade.mark] as never);
  response.end(request.method === 'HEAD' ? undefined : text);
}

/** @throws AllianceError keystone_malformed for more than `mostBytes`; that of a connection that broke */
export async function readText(answer: UpstreamAnswer, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > mostBytes)
        throw new AllianceError('keystone_malformed', { details: `An answer of more than ${mostBytes} bytes.` });
      chunks.push(chunk);
    }
  } catch (thrown) {
    throw upstreamError(thrown);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Every path that is none of ours. */
export async function relay(facade: Facade, exchange: Exchange): Promise<void> {
  await pass(facade, exchange, await ask(facade, exchange));
}

const isReadable = ({ headers }: UpstreamAnswer): boolean => headerOf(headers, 'content-encoding') === undefined;

/** `GET /` and `GET /v3`: where clients learn the URL of the API. */
export async function versions(facade: Facade, exchange: Exchange): Promise<void> {
  const answer = await ask(facade, exchange, true);
  const location = headerOf(answer.headers, 'location');
  const headers =
    location === undefined
      ? answer.headers
      : [...withoutHeaders(answer.headers, 'location'), 'Location', rewriteVersionUrl(location, facade.root)];
  if (answer.status >= 400 || !isReadable(answer)) return pass(facade, exchange, answer);
  const text = await readText(answer, facadeLimits.answerBytes);
  passText(facade, exchange, { status: answer.status, headers }, rewriteVersions(text, facade.root));
}

const expiry = /"expires_at":\s*"([^"]+)"/;

/** `POST /v3/auth/tokens`: Keystone logs in, and its catalog then leads to the facade. */
export async function login(facade: Facade, exchange: Exchange): Promise<void> {
  const answer = await ask(facade, exchange, true);
  if (answer.status !== 201 || !isReadable(answer)) return pass(facade, exchange, answer);
  const text = await readText(answer, facadeLimits.answerBytes);
  passText(facade, exchange, answer, rewriteCatalog(text, facade.root));
  const token = headerOf(answer.headers, 'x-subject-token');
  const expiresAt = time.safeParse(expiry.exec(text)?.[1]);
  if (token && expiresAt.success) facade.own.issued(token, expiresAt.data);
}
