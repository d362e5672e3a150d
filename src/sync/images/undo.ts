/** Takes back an image whose content never became whole. */
import { AllianceError } from '../../core/errors.ts';
import { syncLimits } from '../../core/limits.ts';
import type { NewTransfer } from '../../model/transfer.ts';
import { deleteSurely, type FinishContext, getIfThere } from './finish.ts';
import { hasPassed, isMarked } from './marks.ts';

/**
 * Never throws: what cannot be taken back now stays in the journal, and the next run looks again. So does what is not there: a request to
 * make it may still be on its way, or the service errs.
 */
export async function undo(transfer: NewTransfer, context: FinishContext): Promise<void> {
  const { journal, note } = context;
  try {
    // Not the run's own signal, for that may be what ended it.
    const signal = AbortSignal.timeout(syncLimits.undoMs);
    await journal.step(transfer, 'undo');
    if (await remove(transfer, { ...context, signal })) await journal.close(transfer);
  } catch (error) {
    const why = error instanceof AllianceError ? error.message : 'An unexpected error.';
    note(`The unfinished image ${transfer.imageId} is taken away by the next run. ${why}`);
  }
}

/** @returns whether there was one, which is gone now. @throws AllianceError */
export async function remove(transfer: NewTransfer, { store, signal }: FinishContext): Promise<boolean> {
  const image = await getIfThere(store, transfer.imageId, signal);
  // By one that has passed another image may have been replaced already.
  if (!image || !isMarked(image, transfer) || hasPassed(image)) return false;
  await deleteSurely(store, transfer.imageId, signal);
  return true;
}
