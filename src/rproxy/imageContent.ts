/** The content of a partner's image: chunks that are asked for ahead, told in their order, and asked for again where the way is lost. */
import { setTimeout as delay } from 'node:timers/promises';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { partnerImageLimits } from '../core/limits.ts';
import type { StoreCall } from '../lproxy/imageStore.ts';
import type { Argument, MethodName, Result } from '../wire/methods.ts';
import { ImageRange, type ImageReference, toInt64, toNumber } from '../wire/types.ts';
import { malformed } from './imageReading.ts';

/** How a store asks its partner. */
export interface ImageCalls {
  reference(id: string): ImageReference;
  call<M extends MethodName>(method: M, argument: Argument<M>, signal?: AbortSignal): Promise<Result<M>>;
}

const { chunkBytes, chunksInFlight, retries, retryMinMs, retryMaxMs } = partnerImageLimits;

/** Failures of the way, or of a moment: what was asked for can be asked for again. */
export const mayPass = (thrown: unknown): boolean => {
  const { errorName, retryable } = toAllianceError(thrown);
  if (errorName === 'image_mismatch') return false;
  return (
    retryable || errorName === 'connection_lost' || errorName === 'unreachable' || errorName === 'deadline_exceeded'
  );
};

/** Waits longer each time; a little at random, so that those who lost the same partner do not come back at the same time. */
export async function pauseBefore(attempt: number, thrown: unknown, signal?: AbortSignal): Promise<void> {
  const told = toAllianceError(thrown).retryAfterMs ?? 0;
  const pauseMs = Math.min(retryMaxMs, Math.max(told, retryMinMs * 2 ** attempt)) * (0.75 + Math.random() / 2);
  await delay(pauseMs, undefined, signal ? { signal } : {});
  signal?.throwIfAborted();
}

interface Piece {
  readonly data: Buffer;
  readonly sizeBytes: number;
}

export async function* readContent(
  { call, reference }: ImageCalls,
  { id, offset }: { readonly id: string; readonly offset: number },
  { signal }: StoreCall,
): AsyncGenerator<Buffer, void, undefined> {
  const image = reference(id);
  const ask = async (at: number): Promise<Piece> => {
    const range = new ImageRange({ image, offset: toInt64(at), length: chunkBytes });
    const { data, size } = await call('readImageData', range, signal);
    return { data, sizeBytes: toNumber(size) };
  };
  const asked: Promise<Piece>[] = [];
  /** What is told to the caller next, and what is asked for next. */
  let at = offset;
  let next = offset;
  let size: number | undefined;
  let failures = 0;
  for (;;) {
    // Only the first chunk, until it is known how many there are.
    while (asked.length < (size === undefined ? 1 : chunksInFlight) && (size === undefined || next < size)) {
      const piece = ask(next);
      // Those behind one that failed are asked for again with it.
      piece.catch(() => undefined);
      asked.push(piece);
      next += chunkBytes;
    }
    const first = asked.shift();
    if (!first) return;
    let piece: Piece;
    try {
      piece = await first;
    } catch (thrown) {
      if (signal?.aborted || !mayPass(thrown) || failures >= retries) throw thrown;
      await pauseBefore(failures++, thrown, signal);
      asked.length = 0;
      next = at;
      continue;
    }
    failures = 0;
    checkPiece(piece, at, size);
    size = piece.sizeBytes;
    at += piece.data.length;
    if (piece.data.length > 0) yield piece.data;
    if (at >= size) return;
  }
}

/** Each chunk is whole but the last one, and the content does not change its size on the way. */
function checkPiece({ data, sizeBytes }: Piece, at: number, size: number | undefined): void {
  if (sizeBytes < 0 || (size !== undefined && sizeBytes !== size))
    throw malformed('size', 'The content is of another size than before.');
  if (at > sizeBytes)
    throw new AllianceError('image_conflict', { details: `The content ends at ${sizeBytes}, before byte ${at}.` });
  if (data.length !== Math.min(chunkBytes, sizeBytes - at))
    throw malformed('data', 'The chunk is not as long as was asked for.');
}
