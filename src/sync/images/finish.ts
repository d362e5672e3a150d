/** The way of an image from where its content is proven: it gets its final form, the one that it replaces goes, the marks go. */
import { AllianceError } from '../../core/errors.ts';
import type { ImageChanges, ImageStore, StoredImage } from '../../lproxy/imageStore.ts';
import type { ContentProof, OldImage, Transfer, TransferStep } from '../../model/transfer.ts';
import { retrying } from '../transfer/retry.ts';
import { isMarked, passedMark, withoutMarks } from './marks.ts';
import { isSameContent, proofOf } from './verify.ts';

/** How steps are written down: each before it is done, and none without the right to do it. */
export interface Journal {
  /** To be asked before what cannot be taken back. @throws AllianceError sync_running where another process has taken over */
  hold(): Promise<void>;
  /** @throws AllianceError sync_running where another process has taken over */
  step(transfer: Pick<Transfer, 'id'>, step: TransferStep, content?: ContentProof): Promise<void>;
  close(transfer: Pick<Transfer, 'id'>): Promise<void>;
}

export interface FinishContext {
  readonly store: ImageStore;
  readonly journal: Journal;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
  /** Whether the old image goes later, by whoever says so; then so does all that comes after. */
  readonly postpone?: (transfer: Transfer) => boolean;
}

/**
 * From `publish`, `retire` or `clear` on. Every part may be done again.
 *
 * @returns whether all is done, and nothing was postponed
 * @throws AllianceError; the transfer stays open then
 */
export async function finish(transfer: Transfer, context: FinishContext): Promise<boolean> {
  const { journal } = context;
  let { step } = transfer;
  if (step === 'publish') {
    await publish(transfer, context);
    step = 'retire';
    await journal.step(transfer, step);
  }
  if (step === 'retire') {
    if (context.postpone?.({ ...transfer, step })) return false;
    await retire(transfer, context);
    await journal.step(transfer, 'clear');
  }
  await change(transfer.imageId, { properties: withoutMarks }, context);
  await journal.close(transfer);
  return true;
}

const change = (id: string, changes: ImageChanges, { store, signal }: FinishContext): Promise<StoredImage> =>
  retrying(() => store.update(id, changes, { signal }), { signal });

async function publish({ imageId, final }: Transfer, context: FinishContext): Promise<void> {
  const { store, signal } = context;
  const { visibility, hidden, members } = final;
  const changes: ImageChanges = {
    ...(visibility && { visibility }),
    ...(hidden && { hidden }),
    properties: passedMark,
  };
  await change(imageId, changes, context);
  if (members.length === 0) return;
  const there = await retrying(() => store.members(imageId, { signal }), { signal });
  for (const projectId of members)
    if (!there.some((member) => member.projectId === projectId))
      await retrying(() => store.addMember(imageId, projectId, { signal }), { signal });
}

/**
 * Undefined where there is none, which is asked twice: what is done on the word that an image is gone cannot be mended later, and services
 * with several processes or databases err now and then.
 */
export async function getIfThere(store: ImageStore, id: string, signal: AbortSignal): Promise<StoredImage | undefined> {
  for (let asked = 1; ; asked++)
    try {
      return await retrying(() => store.get(id, { signal }), { signal });
    } catch (error) {
      if (!(error instanceof AllianceError && error.errorName === 'image_not_found')) throw error;
      if (asked === 2) return undefined;
    }
}

/** The old image goes only when the new one was seen directly before, whole and marked; else the row stays open. */
async function retire(transfer: Transfer, context: FinishContext): Promise<void> {
  const { store, journal, signal } = context;
  const { old } = transfer;
  const isThere = old !== null && (await isToRetire(old, context));
  await requireWhole(transfer, context);
  if (!isThere) return;
  await journal.hold();
  if (old.newName === null) await deleteSurely(store, old.id, signal);
  else await change(old.id, { name: old.newName, ...(!old.staysVisible && { visibility: 'private' }) }, context);
}

/** What was planned for the old image is done only if it still is the one that the plan saw. */
async function isToRetire(old: OldImage, { store, signal, note }: FinishContext): Promise<boolean> {
  const image = await getIfThere(store, old.id, signal);
  if (!image || (old.newName !== null && image.name === old.newName)) return false;
  if (image.name !== old.name || !isSameContent(old, proofOf(image))) {
    note(`The image ${old.id} that was to be replaced is another one now, and is left as it is.`);
    return false;
  }
  if (old.newName === null && image.protected)
    throw new AllianceError('image_conflict', {
      details: `The new image is there; the old one (${old.id}) is protected.`,
    });
  return true;
}

async function requireWhole(transfer: Transfer, { store, signal }: FinishContext): Promise<void> {
  const image = await getIfThere(store, transfer.imageId, signal);
  const isWhole = image?.status === 'active' && isSameContent(transfer.content, proofOf(image));
  if (isWhole && isMarked(image, transfer)) return;
  throw new AllianceError('image_conflict', {
    details: `The new image (${transfer.imageId}) is not as it was sent any more; what it was to replace stays.`,
  });
}

const isDeleted = ({ status }: StoredImage): boolean => status === 'deleted' || status === 'pending_delete';

/** A service that errs may say that there is none to delete; it is asked again. @throws AllianceError image_conflict where it is there still */
export async function deleteSurely(store: ImageStore, id: string, signal: AbortSignal): Promise<void> {
  await retrying(() => store.delete(id, { signal }), { signal });
  const image = await getIfThere(store, id, signal);
  if (image && !isDeleted(image))
    throw new AllianceError('image_conflict', { details: `The image ${id} is there although it was deleted.` });
}
