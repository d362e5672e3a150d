/** A source that is read to its end, however often it breaks on the way: it goes on at the byte where it was. */
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { transferLimits } from '../../core/limits.ts';
import { pause, pauseMs, reasonOf } from './retry.ts';

/** Bytes from `offset` to the end; the pieces may be used until the next one is asked for. */
export type ReadFrom = (offset: number, signal: AbortSignal) => AsyncIterable<Buffer>;

export interface ResumeOptions {
  /** Of all of it; what comes is this long, or it fails. */
  readonly sizeBytes: number;
  readonly signal: AbortSignal;
  /** Nothing for so long is a break. */
  readonly idleMs?: number;
  /** Default: it goes on; else the first break is thrown. */
  readonly resumes?: boolean;
  /** Before it goes on after so many breaks in a row; default pauseMs. */
  readonly pause?: (failures: number) => number;
}

/** @throws AllianceError what broke it last, once it has broken too often without getting on; `image_mismatch` for too many bytes */
export async function* readResuming(read: ReadFrom, options: ResumeOptions): AsyncGenerator<Buffer, void, undefined> {
  const { sizeBytes, signal, idleMs = transferLimits.idleMs, resumes = true, pause: wait = pauseMs } = options;
  let offset = 0;
  let failures = 0;
  while (offset < sizeBytes) {
    const began = offset;
    try {
      for await (const piece of untilIdle((inner) => read(began, inner), signal, idleMs)) {
        offset += piece.length;
        if (offset > sizeBytes)
          throw new AllianceError('image_mismatch', {
            details: `The source sends more than its ${sizeBytes} bytes.`,
            retryable: false,
          });
        yield piece;
      }
      if (offset < sizeBytes)
        throw new AllianceError('connection_lost', { details: `The source ended at byte ${offset} of ${sizeBytes}.` });
    } catch (thrown) {
      if (signal.aborted) throw reasonOf(signal);
      const error = toAllianceError(thrown);
      if (!error.retryable || !resumes) throw error;
      // A source that gives a byte at a time must not keep us for as long as it has bytes.
      failures = offset - began >= transferLimits.pieceBytes ? 1 : failures + 1;
      if (failures > transferLimits.resumes) throw error;
      await pause(Math.max(wait(failures), error.retryAfterMs ?? 0), signal);
    }
  }
}

/** Ends with an error when nothing comes for `idleMs`, also from a source that does not heed its signal. */
async function* untilIdle(
  open: (signal: AbortSignal) => AsyncIterable<Buffer>,
  outer: AbortSignal,
  idleMs: number,
): AsyncGenerator<Buffer, void, undefined> {
  const controller = new AbortController();
  const { signal } = controller;
  const end = (): void => controller.abort(reasonOf(outer));
  if (outer.aborted) throw reasonOf(outer);
  outer.addEventListener('abort', end);
  const idle = (): void => {
    const details = `Nothing came from the source for ${Math.round(idleMs / 1000)} seconds.`;
    controller.abort(new AllianceError('connection_lost', { details }));
  };
  let fail: (error: Error) => void = () => undefined;
  signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true });
  const pieces = open(signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Not while whoever reads takes its time.
      if (signal.aborted) throw signal.reason as Error;
      const timer = setTimeout(idle, idleMs);
      // No race with one promise for all pieces, which would keep each of them until it is settled.
      const next = await new Promise<IteratorResult<Buffer, unknown>>((resolve, reject) => {
        fail = reject;
        pieces.next().then(resolve, reject);
      }).finally(() => clearTimeout(timer));
      if (next.done) return;
      if (next.value.length > 0) yield next.value;
    }
  } finally {
    outer.removeEventListener('abort', end);
    controller.abort(new AllianceError('shutting_down', { details: 'The reader wants no more.' }));
    // Not waited for: a source that hangs would keep us.
    void pieces.return?.().catch(() => undefined);
  }
}
