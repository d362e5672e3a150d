/** Reads on while what was read is being written, and makes pieces of one size of pieces of any size. Memory is bounded by both. */
import { transferLimits } from '../../core/limits.ts';

export interface ReadAheadOptions {
  readonly pieceBytes?: number;
  /** Whole pieces that wait at most. */
  readonly pieces?: number;
}

/**
 * The same bytes; each piece but the last is `pieceBytes` long, and is the receiver's to keep. What the source throws comes after what it
 * gave. When the receiver stops early the source is told, but not waited for: its own signal has to end it.
 */
export async function* readAhead(
  source: AsyncIterable<Buffer>,
  { pieceBytes = transferLimits.pieceBytes, pieces = transferLimits.piecesAhead }: ReadAheadOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const queue: Buffer[] = [];
  let end: { readonly error?: unknown } | undefined;
  let stopped = false;
  let wake: () => void = () => undefined;
  const changed = async (): Promise<void> => new Promise<void>((resolve) => (wake = resolve));
  const push = async (piece: Buffer): Promise<void> => {
    queue.push(piece);
    wake();
    while (queue.length >= pieces && !stopped) await changed();
  };

  const fill = async (): Promise<void> => {
    let piece: Buffer | undefined;
    let filled = 0;
    for await (const bytes of source) {
      if (stopped) return;
      // A partner's chunks have that size already.
      if (filled === 0 && bytes.length === pieceBytes) {
        await push(bytes);
        continue;
      }
      for (let at = 0; at < bytes.length; ) {
        // Not from the pool, whose slabs would be kept alive by a part of them.
        piece ??= Buffer.allocUnsafeSlow(pieceBytes);
        const copied = bytes.copy(piece, filled, at);
        at += copied;
        filled += copied;
        if (filled < pieceBytes) break;
        await push(piece);
        piece = undefined;
        filled = 0;
      }
    }
    if (piece) await push(piece.subarray(0, filled));
  };

  fill().then(
    () => {
      end = {};
      wake();
    },
    (error: unknown) => {
      end = { error };
      wake();
    },
  );
  try {
    for (;;) {
      const piece = queue.shift();
      if (piece) {
        wake();
        yield piece;
      } else if (end) {
        if ('error' in end) throw end.error;
        return;
      } else await changed();
    }
  } finally {
    stopped = true;
    queue.length = 0;
    wake();
  }
}
