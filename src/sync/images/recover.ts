/** What an earlier run has left unfinished in a region is finished or taken back, before anything is planned there. */

import { toAllianceError } from '../../core/errors.ts';
import { syncLimits } from '../../core/limits.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { Transfer } from '../../model/transfer.ts';
import { type FinishContext, finish, getIfThere } from './finish.ts';
import { hasPassed, isMarked, isUnfinished } from './marks.ts';
import type { Recovery } from './syncTypes.ts';
import { findTwin, type TwinContext } from './twins.ts';
import { remove } from './undo.ts';
import { isProven, isSameContent, proofOf } from './verify.ts';

export interface RecoverContext extends FinishContext, TwinContext {
  /** Whether the image that it comes from is certainly gone, or switched off. */
  readonly isWithdrawn: (transfer: Transfer) => Promise<boolean>;
}

type Outcome = readonly [Recovery['outcome'], string];

/** Whoever calls has the region for itself. Throws only where the signal or the loss of the region ends the run. */
export async function recover(
  transfers: readonly Transfer[],
  context: RecoverContext,
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

async function recoverOne(transfer: Transfer, context: RecoverContext, now: number): Promise<Outcome> {
  const { store, journal, signal } = context;
  const { step, imageId, updatedAt } = transfer;
  const image = await getIfThere(store, imageId, signal);
  if (!image) {
    // The request that makes it may have outlived its sender, and services err.
    const late = Math.abs(now - updatedAt) < syncLimits.settleMs;
    if (!late) await journal.close(transfer);
    return ['gone', late ? 'It is not there so far; the next run looks again.' : 'It is not there.'];
  }
  if (!isMarked(image, transfer)) {
    await journal.close(transfer);
    return step === 'clear'
      ? ['completed', 'It was complete.']
      : ['gone', 'It has not the mark of this transfer any more, and is left as it is.'];
  }
  if (step === 'retire' || step === 'clear') return complete(transfer, context);
  if (hasPassed(image)) {
    if (step !== 'undo') return publish(transfer, context);
    await journal.close(transfer);
    return ['gone', 'Another run of this installation went on with it, and it is left as it is.'];
  }
  return decide(transfer, image, context);
}

/** Nothing was done so far to the image that it replaces. */
async function decide(transfer: Transfer, image: StoredImage, context: RecoverContext): Promise<Outcome> {
  const { step, content } = transfer;
  if (step === 'undo') return takeBack(transfer, 'Its content was not complete.', context);
  if (await context.isWithdrawn(transfer)) return takeBack(transfer, 'Its source is not there any more.', context);
  const twin = await findTwin(transfer, context);
  if (step === 'publish' || isProven(content, image))
    return twin
      ? takeBack(transfer, `Another image (${twin.id}) has its name by now.`, context)
      : publish(transfer, context);
  // Another run, with a copy of the journal, may know that it is whole, and rely on it.
  if (image.status === 'active' && isSameContent(content, proofOf(image)) && !(twin && !isUnfinished(twin)))
    return ['left', 'Nothing tells whether its content is whole, so it stays until another one is there.'];
  return takeBack(transfer, 'Its content was not complete.', context);
}

async function publish(transfer: Transfer, context: RecoverContext): Promise<Outcome> {
  if (transfer.step !== 'publish') await context.journal.step(transfer, 'publish');
  return complete({ ...transfer, step: 'publish' }, context);
}

async function complete(transfer: Transfer, context: RecoverContext): Promise<Outcome> {
  return (await finish(transfer, context))
    ? ['completed', 'Its content was there and is proven; what was left to do is done.']
    : [
        'completed',
        'Its content is there and is proven; what it replaces is still needed, and goes at the end of the run.',
      ];
}

async function takeBack(transfer: Transfer, why: string, context: RecoverContext): Promise<Outcome> {
  await context.journal.step(transfer, 'undo');
  if (!(await remove(transfer, context)))
    return ['left', 'It is not there now, or has changed; the next run looks again.'];
  await context.journal.close(transfer);
  return ['removed', why];
}
