/** Takes back an image whose content never became whole. */
import { AllianceError } from '../../core/errors.ts';
import { syncLimits } from '../../core/limits.ts';
import type { NewTransfer } from '../../model/transfer.ts';
import { retrying } from '../transfer/retry.ts';
import { type FinishContext, getIfThere } from './finish.ts';
import { isMarked } from './marks.ts';

export interface UndoContext extends FinishContext {
  /** There was an image; else a request to make one may still be on its way. */
  readonly certain: boolean;
}

/** Never throws: what cannot be taken back now stays in the journal, and the next run looks again. */
export async function undo(transfer: NewTransfer, context: UndoContext): Promise<void> {
  const { journal, note, certain } = context;
  try {
    // Not the run's own signal, for that may be what ended it.
    const signal = AbortSignal.timeout(syncLimits.undoMs);
    await journal.step(transfer, 'undo');
    const removed = await remove(transfer, { ...context, signal });
    if (removed || certain) await journal.close(transfer);
  } catch (error) {
    const why = error instanceof AllianceError ? error.message : 'An unexpected error.';
    note(`The unfinished image ${transfer.imageId} is taken away by the next run. ${why}`);
  }
}

/** @returns whether there was one. @throws AllianceError */
export async function remove(transfer: NewTransfer, { store, signal }: FinishContext): Promise<boolean> {
  const image = await getIfThere(store, transfer.imageId, signal);
  if (!image || !isMarked(image, transfer)) return false;
  await retrying(() => store.delete(transfer.imageId, { signal }), { signal });
  return true;
}
