/** Images that this installation has begun and that its journal does not know: it was lost, or a request came very late. */
import { toAllianceError } from '../../core/errors.ts';
import { syncLimits } from '../../core/limits.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { Transfers } from '../../model/transfer.ts';
import { deleteSurely, type FinishContext, getIfThere } from './finish.ts';
import { isOwn } from './image.ts';
import { transferOf } from './marks.ts';

export interface StrayContext extends FinishContext {
  readonly transfers: Pick<Transfers, 'has'>;
  readonly origin: string;
  readonly projectId: string;
  readonly now: number;
}

/** Those without content go after a day; of others it is told. Returns ids of those that went. */
export async function clearStrays(listed: Iterable<StoredImage>, context: StrayContext): Promise<readonly string[]> {
  const { signal, note, transfers, origin, projectId, now } = context;
  const gone: string[] = [];
  for (const image of listed) {
    const { id, name } = image;
    const transfer = transferOf(image, origin);
    if (transfer === null || !isOwn(image.owner, projectId)) continue;
    if (await transfers.has(transfer)) continue;
    if (image.status === 'active') {
      note(`The image ${id} (${name}) bears the mark of a sync that nobody remembers; look at it, and delete it.`);
      continue;
    }
    if (image.createdAt === null || now - image.createdAt < syncLimits.strayMs) continue;
    try {
      if (!(await clear(image, transfer, context))) continue;
      gone.push(id);
      note(`The image ${id} (${name}) had no content, and no sync remembers it; it was deleted.`);
    } catch (thrown) {
      const error = toAllianceError(thrown);
      if (signal.aborted || error.errorName === 'sync_running') throw error;
      note(`The image ${id} (${name}) has no content, and no sync remembers it. ${error.message}`);
    }
  }
  return gone;
}

async function clear({ id }: StoredImage, transfer: string, context: StrayContext): Promise<boolean> {
  const { store, journal, signal, origin } = context;
  const image = await getIfThere(store, id, signal);
  if (!image || image.status === 'active' || transferOf(image, origin) !== transfer) return false;
  await journal.hold();
  await deleteSurely(store, id, signal);
  return true;
}
