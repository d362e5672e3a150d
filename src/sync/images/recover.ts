/** What an earlier run has left unfinished in a region is finished or taken back, before anything is planned there. */

import { toAllianceError } from '../../core/errors.ts';
import { syncLimits } from '../../core/limits.ts';
import type { Transfer } from '../../model/transfer.ts';
import { type FinishContext, finish, getIfThere } from './finish.ts';
import { isMarked } from './marks.ts';
import type { Recovery } from './syncTypes.ts';
import { remove } from './undo.ts';
import { isProven } from './verify.ts';

/** Whoever calls has the region for itself. Throws only where the signal or the loss of the region ends the run. */
export async function recover(
  transfers: readonly Transfer[],
  context: FinishContext,
  now: number,
): Promise<readonly Recovery[]> {
  const recoveries: Recovery[] = [];
  for (const transfer of transfers) {
    const told = (outcome: Recovery['outcome'], reason: string): Recovery => {
      const { name, imageId } = transfer;
      return { name, imageId, outcome, reason };
    };
    try {
      const [outcome, reason] = await recoverOne(transfer, context, now);
      recoveries.push(told(outcome, reason));
    } catch (thrown) {
      const error = toAllianceError(thrown);
      if (context.signal.aborted || error.errorName === 'sync_running') throw error;
      recoveries.push(told('left', error.message));
    }
  }
  return recoveries;
}

async function recoverOne(
  transfer: Transfer,
  context: FinishContext,
  now: number,
): Promise<readonly [Recovery['outcome'], string]> {
  const { store, journal, signal } = context;
  const { step, imageId, updatedAt } = transfer;
  const image = await getIfThere(store, imageId, signal);
  if (!image) {
    // The request that makes it may have outlived its sender.
    const late = (step === 'create' || step === 'undo') && Math.abs(now - updatedAt) < syncLimits.settleMs;
    if (!late) await journal.close(transfer);
    return ['gone', late ? 'It was not made so far; the next run looks again.' : 'It is not there.'];
  }
  if (!isMarked(image, transfer)) {
    await journal.close(transfer);
    return step === 'clear'
      ? ['completed', 'It was complete.']
      : ['gone', 'It has not the mark of this transfer any more, and is left as it is.'];
  }
  if (step === 'publish' || step === 'retire' || step === 'clear') {
    await finish(transfer, context);
    return ['completed', 'Its content was there; what was left to do is done.'];
  }
  if (step !== 'undo' && isProven(transfer.content, image)) {
    await journal.step(transfer, 'publish');
    await finish({ ...transfer, step: 'publish' }, context);
    return ['completed', 'Its content was there and is proven; what was left to do is done.'];
  }
  await journal.step(transfer, 'undo');
  await remove(transfer, context);
  await journal.close(transfer);
  return ['removed', 'Its content was not complete.'];
}
