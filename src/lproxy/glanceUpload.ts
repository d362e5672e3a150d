/** The bytes of an image into a Glance, in one stream. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AllianceError } from '../core/errors.ts';
import { conflict, getImage } from './glanceData.ts';
import { statusError } from './glanceErrors.ts';
import type { GlanceHttp } from './glanceHttp.ts';
import type { StoreCall, StoredImage } from './imageStore.ts';

const isUnreachable = (error: unknown): error is AllianceError =>
  error instanceof AllianceError && error.errorName === 'glance_unreachable';

/** What the upload has come to, while undici pulls from it. */
interface Progress {
  /** Its source was asked for something, and ends with it. */
  begun?: true;
  /** Every byte was handed over. */
  complete?: true;
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
  progress.begun = true;
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
    progress.complete = true;
  } catch (error) {
    progress.failure = { error };
    throw error;
  }
}

/** Nobody will read it. */
async function discard(content: AsyncIterable<Buffer>): Promise<void> {
  await content[Symbol.asyncIterator]().return?.();
}

/** What came instead of an answer, where all was sent: it may have been stored all the same. */
async function send(
  http: GlanceHttp,
  id: string,
  content: AsyncIterable<Buffer>,
  sizeBytes: number,
  call: StoreCall,
): Promise<AllianceError | undefined> {
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
      carriesContent: true,
      signal,
    });
    if (answer.status !== 204) throw statusError(label, answer.status, answer.text, id);
    return undefined;
  } catch (thrown) {
    if (!progress.begun) await discard(content);
    call.signal?.throwIfAborted();
    if (progress.failure) throw progress.failure.error;
    if (progress.complete && isUnreachable(thrown)) return thrown;
    throw thrown;
  }
}

const unfinished = new Set(['saving', 'importing', 'uploading']);

/** Of a Glance that does not answer well for a moment, a look is no verdict; undefined. */
async function look(http: GlanceHttp, id: string, failures: number, call: StoreCall): Promise<StoredImage | undefined> {
  try {
    return await getImage(http, id, call);
  } catch (error) {
    if (failures < http.limits.activeLookFailures && isUnreachable(error)) return undefined;
    throw error;
  }
}

/**
 * @param lost why the answer to the upload is missing; then it is not waited for as long, and is what is thrown
 * @throws AllianceError image_conflict where it becomes something else than `active`
 */
async function untilActive(
  http: GlanceHttp,
  id: string,
  lost: AllianceError | undefined,
  call: StoreCall,
): Promise<StoredImage> {
  const { activePollMs, activePollMaxMs, activeTimeoutMs, idleTimeoutMs } = http.limits;
  const deadline = performance.now() + (lost ? idleTimeoutMs : activeTimeoutMs);
  let failures = 0;
  for (let pauseMs = activePollMs; ; pauseMs = Math.min(pauseMs * 2, activePollMaxMs)) {
    const image = await look(http, id, failures, call);
    if (image?.status === 'active') return image;
    failures = image ? 0 : failures + 1;
    if (image && !unfinished.has(image.status))
      throw lost ?? conflict(http, id, `became ${image.status} after its upload`);
    if (performance.now() > deadline) throw lost ?? conflict(http, id, 'is not active long after its upload');
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
  const lost = await send(http, id, content, sizeBytes, call);
  const image = await untilActive(http, id, lost, call);
  if (image.sizeBytes === sizeBytes) return image;
  const details = `${http.label}: of ${sizeBytes} bytes of image ${id} it has stored ${image.sizeBytes ?? 'none'}.`;
  throw new AllianceError('image_mismatch', { details });
}
