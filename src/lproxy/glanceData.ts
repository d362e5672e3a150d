/** One image of a Glance, and its bytes by ranges. */
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

export const conflict = (http: GlanceHttp, id: string, what: string): AllianceError =>
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
    carriesContent: true,
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
