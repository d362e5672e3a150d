/** `/v2/images/ID/file`: the bytes of an image, in and out. */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from './callers.ts';
import { forbidden, GlanceError } from './errors.ts';
import type { Fault } from './faults.ts';
import type { GlanceImage } from './image.ts';
import { isAdmin } from './policy.ts';
import type { ImageParams, RouteContext } from './routes.ts';
import { faultOf, reset } from './server.ts';
import type { GlanceState } from './state.ts';

interface Part {
  readonly start: number;
  /** The first byte after it. */
  readonly end: number;
}

/** Of `bytes=A-B`, `bytes=A-` and `bytes=-N`; null without a range. @throws GlanceError 416 */
function parseRange(header: string | undefined, size: number): Part | null {
  if (header === undefined) return null;
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  const refuse = () => new GlanceError(416, `Invalid range: ${header}`);
  if (!match || (match[1] === '' && match[2] === '')) throw refuse();
  const [first, last] = [match[1]!, match[2]!];
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (start >= size || start >= end) throw refuse();
  return { start, end };
}

/** Refuses more than there is room for as soon as it has come. */
async function* bounded(bytes: AsyncIterable<Buffer>, state: GlanceState, image: GlanceImage): AsyncGenerator<Buffer> {
  let received = 0;
  for await (const piece of bytes) {
    received += piece.length;
    state.assertRoomFor(image, received);
    yield piece;
  }
}

async function upload(
  { state, faults }: RouteContext,
  image: GlanceImage,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const fault = faultOf(request);
  // A refusal in the middle is still answered, so what has not come must not end the connection.
  const incoming = (request.body as Readable).iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  let broken = false;
  const act = (kind: Fault['kind']): boolean => {
    broken = kind === 'reset';
    if (broken) reset(reply);
    return true;
  };
  try {
    const received = await state.contents.receive(
      image.id,
      faults.through(bounded(incoming, state, image), fault, act),
    );
    if (broken) throw new GlanceError(499, 'The connection is gone.');
    if (fault?.kind === 'importing') {
      await state.endUpload(image, received, 'importing');
      const later = setTimeout(() => Object.assign(image, { status: 'active' }), fault.delayMs ?? 1000);
      later.unref();
    } else await state.endUpload(image, received, fault?.kind === 'killed' ? 'killed' : 'active');
  } catch (error) {
    await state.contents.remove(image.id);
    state.abortUpload(image);
    (request.body as Readable).resume();
    throw error;
  }
}

async function download(
  { state, faults }: RouteContext,
  image: GlanceImage,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const size = image.size ?? 0;
  const fault = faultOf(request);
  // As the real one does.
  if (image.size === null && request.headers.range !== undefined) throw new GlanceError(500, '');
  const part = fault?.kind === 'unranged' ? null : parseRange(request.headers.range, size);
  const { start, end } = part ?? { start: 0, end: size };
  const content = state.contents.read(image.id, start, end);
  if (!content) return reply.code(204).send();
  if (fault?.kind === 'lost') return reply.send();
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(part ? 206 : 200, {
    'content-type': 'application/octet-stream',
    'content-length': end - start,
    ...(image.checksum !== null && { 'content-md5': image.checksum }),
    ...(part && { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
  });
  let cut = false;
  const act = (kind: Fault['kind']): boolean => {
    if (kind === 'reset') reset(reply);
    cut = kind === 'cut';
    return true;
  };
  const bytes = faults.through(content, fault, act);
  // The client may leave at any time.
  await pipeline(Readable.from(bytes), raw, { end: false }).catch(() => raw.destroy());
  if (cut && raw.socket) {
    raw.socket.end();
    await once(raw.socket, 'close').catch(() => undefined);
  }
  raw.end();
  return reply;
}

export function addDataRoutes(context: RouteContext): void {
  const { app, state } = context;
  app.put<ImageParams>('/v2/images/:id/file', async (request, reply) => {
    if (request.headers['content-type'] !== 'application/octet-stream')
      throw new GlanceError(415, `Invalid content type ${request.headers['content-type'] ?? ''}`);
    const length = request.headers['content-length'];
    const announced = length === undefined ? null : Number(length);
    const image = state.beginUpload(callerOf(request), request.params.id, announced);
    await upload(context, image, request, reply);
    return reply.code(204).send();
  });

  app.get<ImageParams>('/v2/images/:id/file', async (request, reply) => {
    const image = state.find(callerOf(request), request.params.id);
    if (image.status === 'deactivated' && !isAdmin(callerOf(request)))
      throw forbidden('The requested image has been deactivated. Image data download is forbidden.');
    return download(context, image, request, reply);
  });
}
