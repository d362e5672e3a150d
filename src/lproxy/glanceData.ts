/** The bytes of images: out of a Glance by ranges, and into it in one stream. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AllianceError } from '../core/errors.ts';
import { parseImage } from './glanceBodies.ts';
import { connectionError, malformed, statusError } from './glanceErrors.ts';
import { type GlanceHttp, textOf } from './glanceHttp.ts';
import type { StoreCall, StoredImage } from './imageStore.ts';

export async function getImage(http: GlanceHttp, id: string, { signal }: StoreCall): Promise<StoredImage> {
  const answer = await http.send({ method: 'GET', path: `/images/${id}`, repeatable: true, signal });
  if (answer.status !== 200) throw statusError(http.label, answer.status, answer.text, id);
  const image = parseImage(http.label, answer.text);
  if (image.id !== id.toLowerCase() && image.id !== id) throw malformed(http.label, 'it answered with another image.');
  return image;
}

const conflict = (http: GlanceHttp, id: string, what: string): AllianceError =>
  new AllianceError('image_conflict', { details: `${http.label}: image ${id} ${what}.` });

const rangeForm = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/;

/** Of an answer that begins with byte `offset` or, where its status is 200, with the first one: what to leave out, and what is to come. */
function partOf(
  http: GlanceHttp,
  answer: { statusCode: number; headers: NodeJS.Dict<string | string[]> },
  offset: number,
) {
  const length = Number(answer.headers['content-length'] ?? Number.NaN);
  if (answer.statusCode === 200) return { skip: offset, length };
  const match = rangeForm.exec(String(answer.headers['content-range']));
  if (!match || Number(match[1]) !== offset) throw malformed(http.label, 'it answered with another range of bytes.');
  const [last, size] = [Number(match[2]), Number(match[3])];
  // Where a store gives less than the rest at once, that is an early end, and the caller goes on from there.
  return { skip: 0, length: (Number.isFinite(size) ? size : last + 1) - offset };
}

/** There is nothing from its end on, and everything else is a mistake. */
async function assertEnd(http: GlanceHttp, id: string, offset: number, call: StoreCall): Promise<void> {
  const { sizeBytes } = await getImage(http, id, call);
  if (sizeBytes !== offset)
    throw conflict(http, id, `has ${sizeBytes ?? 'no'} bytes, and ${offset} were to be left out`);
}

/** @throws AllianceError glance_unreachable where the bytes end early, so that the caller may go on from there */
export async function* readImage(
  http: GlanceHttp,
  id: string,
  offset: number,
  call: StoreCall,
): AsyncGenerator<Buffer> {
  const { label } = http;
  const answer = await http.open({
    method: 'GET',
    path: `/images/${id}/file`,
    headers: { accept: '*/*', ...(offset > 0 && { range: `bytes=${offset}-` }) },
    repeatable: true,
    signal: call.signal,
  });
  const { statusCode: status, body } = answer;
  if (status !== 200 && status !== 206) {
    const text = await textOf(label, body, http.limits.bodyBytes);
    if (status === 416) return assertEnd(http, id, offset, call);
    if (status === 204) throw conflict(http, id, 'has no content');
    throw statusError(label, status, text, id);
  }
  let received = 0;
  let part: { readonly skip: number; readonly length: number };
  try {
    part = partOf(http, answer, offset);
    for await (const piece of body as AsyncIterable<Buffer>) {
      const fresh = Math.min(piece.length, received + piece.length - part.skip);
      received += piece.length;
      if (fresh > 0) yield fresh === piece.length ? piece : piece.subarray(piece.length - fresh);
    }
  } catch (thrown) {
    call.signal?.throwIfAborted();
    throw connectionError(label, thrown);
  } finally {
    body.destroy();
  }
  // Where the answer does not say how much it holds, the image does.
  const whole = Number.isNaN(part.length) ? (await getImage(http, id, call)).sizeBytes : part.length;
  if (whole !== null && received !== whole)
    throw new AllianceError('glance_unreachable', {
      details: `${label}: of ${whole} bytes of image ${id} only ${received} came.`,
    });
}

/** What the upload has come to, while undici pulls from it. */
interface Progress {
  failure?: { readonly error: unknown };
}

/** Exactly `sizeBytes`, and `onSilence` where a piece is not taken for too long. */
async function* counted(
  content: AsyncIterable<Buffer>,
  sizeBytes: number,
  progress: Progress,
  idle: { readonly timeoutMs: number; readonly onSilence: () => void },
): AsyncGenerator<Buffer> {
  const mismatch = (what: string) =>
    new AllianceError('image_mismatch', {
      details: `The content ${what} of the ${sizeBytes} bytes that were announced.`,
    });
  let sent = 0;
  try {
    for await (const piece of content) {
      sent += piece.length;
      if (sent > sizeBytes) throw mismatch('is more');
      if (piece.length === 0) continue;
      const timer = setTimeout(idle.onSilence, idle.timeoutMs);
      try {
        yield piece;
      } finally {
        clearTimeout(timer);
      }
    }
    if (sent < sizeBytes) throw mismatch(`ended after ${sent}`);
  } catch (error) {
    progress.failure = { error };
    throw error;
  }
}

/** Nobody will read it. */
async function discard(content: AsyncIterable<Buffer>): Promise<void> {
  await content[Symbol.asyncIterator]().return?.();
}

async function send(http: GlanceHttp, id: string, content: AsyncIterable<Buffer>, sizeBytes: number, call: StoreCall) {
  const { label, limits } = http;
  const silence = new AbortController();
  const progress: Progress = {};
  const onSilence = () => {
    const details = `${label} took no bytes for ${limits.idleTimeoutMs} ms.`;
    silence.abort(new AllianceError('glance_unreachable', { details }));
  };
  const signal = call.signal ? AbortSignal.any([call.signal, silence.signal]) : silence.signal;
  try {
    const answer = await http.send({
      method: 'PUT',
      path: `/images/${id}/file`,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(sizeBytes) },
      body: counted(content, sizeBytes, progress, { timeoutMs: limits.idleTimeoutMs, onSilence }),
      repeatable: false,
      answerTimeoutMs: limits.storeTimeoutMs,
      signal,
    });
    if (answer.status !== 204) throw statusError(label, answer.status, answer.text, id);
  } catch (thrown) {
    call.signal?.throwIfAborted();
    throw progress.failure ? progress.failure.error : thrown;
  }
}

const unfinished = new Set(['saving', 'importing', 'uploading']);

/** @throws AllianceError image_conflict where it becomes something else than `active` */
async function untilActive(http: GlanceHttp, id: string, call: StoreCall): Promise<StoredImage> {
  const { activePollMs, activePollMaxMs, activeTimeoutMs } = http.limits;
  const deadline = performance.now() + activeTimeoutMs;
  for (let pauseMs = activePollMs; ; pauseMs = Math.min(pauseMs * 2, activePollMaxMs)) {
    const image = await getImage(http, id, call);
    if (image.status === 'active') return image;
    if (!unfinished.has(image.status)) throw conflict(http, id, `became ${image.status} after its upload`);
    if (performance.now() > deadline) throw conflict(http, id, `is ${image.status} long after its upload`);
    await sleep(pauseMs, undefined, call.signal ? { signal: call.signal } : {});
  }
}

/** See ImageStore. A token that has ended is renewed before the bytes begin, since they can be sent once only. */
export async function writeImage(
  http: GlanceHttp,
  id: string,
  content: AsyncIterable<Buffer>,
  sizeBytes: number,
  call: StoreCall,
): Promise<StoredImage> {
  try {
    const { status } = await getImage(http, id, call);
    if (status !== 'queued') throw conflict(http, id, `is ${status} and takes no content`);
  } catch (error) {
    await discard(content);
    throw error;
  }
  await send(http, id, content, sizeBytes, call);
  const image = await untilActive(http, id, call);
  if (image.sizeBytes === sizeBytes) return image;
  const details = `${http.label}: of ${sizeBytes} bytes of image ${id} it has stored ${image.sizeBytes ?? 'none'}.`;
  throw new AllianceError('image_mismatch', { details });
}
