/** From a source to a sink: read ahead, resumed, throttled, looked at and counted on the way. */
import { AllianceError } from '../../core/errors.ts';
import { transferLimits } from '../../core/limits.ts';
import { readAhead } from './readAhead.ts';
import { type ReadFrom, readResuming } from './resume.ts';
import { reasonOf } from './retry.ts';
import type { Throttle } from './throttle.ts';

export interface PipeOptions<T> {
  readonly read: ReadFrom;
  readonly sizeBytes: number;
  /** Takes the content, no faster than it can store it; returns when it has all of it. */
  readonly write: (content: AsyncIterable<Buffer>, signal: AbortSignal) => Promise<T>;
  /** Whether the source is read on where it broke; else whatever breaks it ends the transfer. Default: it is. */
  readonly resumes?: boolean;
  readonly throttle: Throttle;
  readonly signal: AbortSignal;
  /** Each piece before it is passed on. What it throws ends the transfer, and the sink never has the whole. */
  readonly look: (piece: Buffer) => void;
  /** All were looked at, and the last one was not passed on yet. */
  readonly lookAtEnd: () => void;
  /** Bytes that were passed on so far. */
  readonly onBytes?: (bytes: number) => void;
  readonly idleMs?: number;
}

/** @throws whatever ended it first: the source, a look, the sink, the signal, or that nothing moved for too long */
export async function pipe<T>(options: PipeOptions<T>): Promise<T> {
  const { signal: outer, write, sizeBytes, idleMs = transferLimits.idleMs } = options;
  if (outer.aborted) throw reasonOf(outer);
  const controller = new AbortController();
  const { signal } = controller;
  const end = (): void => controller.abort(reasonOf(outer));
  outer.addEventListener('abort', end);
  /** The sink may wrap what ended its content. */
  let failure: { readonly error: unknown } | undefined;
  let given = 0;
  const content = watched(options, signal, {
    idleMs,
    onIdle: (error) => controller.abort(error),
    onGiven: (bytes) => {
      given = bytes;
    },
    onFailure: (error) => {
      failure ??= { error };
    },
  });
  try {
    const result = await write(content, signal);
    // A sink that is content with a part of it, or with a content that broke, has not what it should have.
    if (failure) throw failure.error;
    if (given !== sizeBytes)
      throw new AllianceError('image_mismatch', { details: `Only ${given} of ${sizeBytes} bytes were taken.` });
    return result;
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    throw failure ? failure.error : error;
  } finally {
    outer.removeEventListener('abort', end);
    controller.abort(new AllianceError('shutting_down', { details: 'The transfer has ended.' }));
  }
}

interface Watch {
  readonly idleMs: number;
  readonly onIdle: (error: AllianceError) => void;
  readonly onGiven: (bytes: number) => void;
  readonly onFailure: (error: unknown) => void;
}

/** The content, one piece behind what was looked at, so that the last one leaves only when all is known to be good. */
async function* watched<T>(
  options: PipeOptions<T>,
  signal: AbortSignal,
  { idleMs, onIdle, onGiven, onFailure }: Watch,
): AsyncGenerator<Buffer, void, undefined> {
  const { read, sizeBytes, resumes = true, throttle, look, lookAtEnd, onBytes } = options;
  let passed = 0;
  const stuck = (): void => {
    const details = `Nothing was taken from byte ${passed} on for ${Math.round(idleMs / 1000)} seconds.`;
    onIdle(new AllianceError('connection_lost', { details }));
  };
  async function* pass(piece: Buffer): AsyncGenerator<Buffer, void, undefined> {
    for (let at = 0; at < piece.length; ) {
      const end = at + (await throttle.take(piece.length - at, signal));
      onGiven(passed + end - at);
      const timer = setTimeout(stuck, idleMs);
      try {
        yield piece.subarray(at, end);
      } finally {
        clearTimeout(timer);
      }
      passed += end - at;
      at = end;
      onBytes?.(passed);
    }
  }

  try {
    let held: Buffer | undefined;
    for await (const piece of readAhead(readResuming(read, { sizeBytes, signal, idleMs, resumes }))) {
      look(piece);
      if (held) yield* pass(held);
      held = piece;
    }
    lookAtEnd();
    if (held) yield* pass(held);
  } catch (error) {
    onFailure(error);
    throw error;
  }
}
