/** Whether the name of an image was taken while it was sent: by another sync, or by somebody's hand. */
import type { ImageStore, StoredImage } from '../../lproxy/imageStore.ts';
import type { NewTransfer } from '../../model/transfer.ts';
import { isOwn } from './image.ts';
import { hasPassed, isUnfinished } from './marks.ts';

export interface TwinContext {
  readonly store: ImageStore;
  readonly signal: AbortSignal;
  /** Id of the project that images belong to there if they are ours. */
  readonly projectId: string;
  /** Ids of images that the plan has seen. */
  readonly known: Pick<ReadonlySet<string>, 'has'>;
}

type Sent = Pick<NewTransfer, 'imageId' | 'name' | 'old'>;

/** Asked of the service when all of it is there, and before anything becomes of the image that it replaces. @throws AllianceError */
export async function findTwin(sent: Sent, context: TwinContext): Promise<StoredImage | undefined> {
  const { store, signal } = context;
  for await (const page of store.list({ signal, name: sent.name }))
    for (const image of page) if (isTwin(image, sent, context)) return image;
  return undefined;
}

/** Pure. Of two that are on their way at once the one with the lower id stays, so that not both go. */
function isTwin(
  image: StoredImage,
  { imageId, name, old }: Sent,
  { projectId, known }: Pick<TwinContext, 'projectId' | 'known'>,
): boolean {
  const { id, status, owner } = image;
  if (id === imageId || id === old?.id || known.has(id)) return false;
  if (image.name !== name || status !== 'active' || !isOwn(owner, projectId)) return false;
  return !isUnfinished(image) || hasPassed(image) || id < imageId;
}
