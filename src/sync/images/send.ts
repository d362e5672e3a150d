/** One image on its way into a region, from the first step of the journal to the last. */
import { randomUUID } from 'node:crypto';
import { AllianceError } from '../../core/errors.ts';
import { syncLimits } from '../../core/limits.ts';
import type { ImageAttributes, ImageStore, StoredImage } from '../../lproxy/imageStore.ts';
import type { ContentProof, FinalAttributes, NewTransfer, OldImage, Transfer } from '../../model/transfer.ts';
import { createDigests } from '../transfer/digests.ts';
import { pipe } from '../transfer/pipe.ts';
import { type ReadFrom, readResuming } from '../transfer/resume.ts';
import { retrying } from '../transfer/retry.ts';
import type { Slots } from '../transfer/slots.ts';
import type { Throttle } from '../transfer/throttle.ts';
import { createInspector } from './diskFormat.ts';
import { type FinishContext, finish, getIfThere, type Journal } from './finish.ts';
import { marksOf } from './marks.ts';
import { findTwin, type TwinContext } from './twins.ts';
import { undo } from './undo.ts';
import {
  algorithmFor,
  checkStored,
  checkStream,
  isComparable,
  isSameContent,
  proofOf,
  type Streamed,
} from './verify.ts';

export interface SendJournal extends Journal {
  begin(transfer: NewTransfer): Promise<void>;
}

export interface SendContext extends FinishContext, TwinContext {
  readonly journal: SendJournal;
  /** Where images come from. */
  readonly source: ImageStore;
  readonly throttle: Throttle;
  readonly slots: Slots;
  /** Whether so many bytes more may be sent; they count as sent then. */
  readonly spend: (bytes: number) => boolean;
  /** What tells this installation from every other one. */
  readonly origin: string;
  /** Of the attempt that runs: bytes that are sent so far, and the id that the image has. */
  readonly onBytes: (bytes: number) => void;
  readonly onImage: (imageId: string) => void;
}

export interface Sending {
  readonly executionId: string;
  readonly taskId: string;
  readonly regionKey: string;
  readonly name: string;
  /** As the listing of the source had it. */
  readonly source: StoredImage;
  /** As the listing of the region had it. */
  readonly old: { readonly image: StoredImage; readonly newName: string | null } | null;
  readonly properties: ReadonlyMap<string, string>;
  readonly final: FinalAttributes;
}

/** @returns the id of the new image. @throws AllianceError; nothing is left then but what the journal has */
export async function send(sending: Sending, context: SendContext): Promise<string> {
  const { signal } = context;
  await checkSource(sending.source, context);
  const old = sending.old && (await checkOld(sending.old, context));
  const attempts = syncLimits.imageAttempts;
  const attempt = (n: number): Promise<Transfer> => {
    // The first one was paid when the task began.
    if (n > 1 && !context.spend(sending.source.sizeBytes ?? 0))
      throw new AllianceError('image_quota', {
        details: 'It failed, and fits not once more into what the run may send.',
      });
    return context.slots.run(() => upload(sending, old, context), signal);
  };
  const transfer = await retrying(async (n) => attempt(n), { signal, attempts });
  await finish(transfer, context);
  return transfer.imageId;
}

/** @throws AllianceError image_conflict where it is not as it was listed; where nothing tells its content, whatever was changed of it */
async function checkSource(listed: StoredImage, { source, signal }: SendContext): Promise<void> {
  const now = await retrying(() => source.get(listed.id, { signal }), { signal });
  const isSame =
    isSameContent(proofOf(listed), proofOf(now)) && (isComparable(listed) || now.updatedAt === listed.updatedAt);
  if (now.status === 'active' && isSame) return;
  throw new AllianceError('image_conflict', {
    details: `The image of the source (${listed.id}) has changed meanwhile.`,
  });
}

/** @throws AllianceError image_conflict where it is not as it was listed, or could not be deleted afterwards */
async function checkOld({ image, newName }: NonNullable<Sending['old']>, context: SendContext): Promise<OldImage> {
  const { id, name } = image;
  const now = await getIfThere(context.store, id, context.signal);
  const told = (what: string): AllianceError =>
    new AllianceError('image_conflict', { details: `The image that is to be replaced (${id}) ${what}.` });
  if (!now) throw told('is gone meanwhile');
  const same = now.status === image.status && now.name === name && isSameContent(proofOf(image), proofOf(now));
  if (!same) throw told('has changed meanwhile');
  if (newName === null && now.protected) throw told('is protected');
  return { id, name, newName, ...proofOf(image) };
}

/** Until the content is there and proven; what fails before is taken back. */
async function upload(sending: Sending, old: OldImage | null, context: SendContext): Promise<Transfer> {
  const { journal, store, signal } = context;
  const { executionId, taskId, regionKey, name, source, final } = sending;
  const content = proofOf(source);
  const row = { id: randomUUID(), executionId, taskId, regionKey, imageId: randomUUID(), name, sourceId: source.id };
  const begun: NewTransfer = { ...row, content, old, final };
  await journal.begin(begun);
  try {
    context.onBytes(0);
    context.onImage(begun.imageId);
    await retrying(() => store.create(begun.imageId, attributesOf(sending, begun, context), { signal }), { signal });
    await journal.step(begun, 'write');
    const proven = await transmit(sending, begun, context);
    await checkSource(source, context);
    await checkName(begun, context);
    await journal.step(begun, 'publish', proven);
    return { ...begun, content: proven, step: 'publish', createdAt: 0, updatedAt: 0 };
  } catch (error) {
    await undo(begun, context);
    throw error;
  }
}

/** @throws AllianceError image_conflict */
async function checkName(begun: NewTransfer, context: SendContext): Promise<void> {
  const twin = await findTwin(begun, context);
  if (!twin) return;
  throw new AllianceError('image_conflict', { details: `Another image (${twin.id}) got this name meanwhile.` });
}

function attributesOf({ source, properties }: Sending, begun: NewTransfer, context: SendContext): ImageAttributes {
  const { diskFormat, containerFormat, minDiskGib, minRamMib, tags } = source;
  return {
    name: begun.name,
    // Nobody sees it before it is whole, and nothing keeps it from being deleted.
    visibility: 'private',
    protected: false,
    hidden: false,
    ...{ diskFormat, containerFormat, minDiskGib, minRamMib, tags },
    properties: new Map([...properties, ...marksOf(begun, context.origin)]),
  };
}

/** The bytes. @returns what is known of the content now */
async function transmit({ source }: Sending, begun: NewTransfer, context: SendContext): Promise<ContentProof> {
  const { journal, store, signal, throttle } = context;
  const { content, imageId } = begun;
  const algorithm = algorithmFor(content);
  const inspector = createInspector(source.diskFormat);
  const digests = createDigests([algorithm]);
  let streamed: Streamed = { bytes: 0, digests: new Map() };
  const stored = await pipe({
    read: (offset, inner) => context.source.read(source.id, offset, { signal: inner }),
    write: (bytes, inner) => store.write(imageId, bytes, content.sizeBytes, { signal: inner }),
    sizeBytes: content.sizeBytes,
    // Parts of two contents would be taken for one.
    resumes: isComparable(content),
    throttle,
    signal,
    look: (piece) => {
      inspector.push(piece);
      digests.push(piece);
      streamed = { ...streamed, bytes: streamed.bytes + piece.length };
    },
    lookAtEnd: () => {
      inspector.end();
      streamed = { ...streamed, digests: digests.end() };
      checkStream(content, streamed);
    },
    onBytes: context.onBytes,
  });
  const proven = { ...content, hash: content.hash ?? hashOf(streamed, algorithm) };
  await journal.step(begun, 'verify', proven);
  if (stored.status !== 'active' || checkStored(content, streamed, proofOf(stored)) === null)
    await checkByReading(streamed, stored, context);
  return proven;
}

const hashOf = ({ digests }: Streamed, algorithm: string): ContentProof['hash'] =>
  algorithm === 'md5' ? null : { algorithm, value: digests.get(algorithm)! };

/** Where the two sides have no hash in common, only the bytes themselves tell. */
async function checkByReading(streamed: Streamed, stored: StoredImage, { store, signal }: SendContext): Promise<void> {
  if (stored.status !== 'active')
    throw new AllianceError('image_mismatch', { details: `The image is ${stored.status} after all of it was sent.` });
  const digests = createDigests(streamed.digests.keys());
  let bytes = 0;
  const read: ReadFrom = (offset, inner) => store.read(stored.id, offset, { signal: inner });
  for await (const piece of readResuming(read, { sizeBytes: streamed.bytes, signal })) {
    digests.push(piece);
    bytes += piece.length;
  }
  const [[algorithm, value]] = [...digests.end()] as [[string, string]];
  checkStored(proofOf(stored), streamed, { sizeBytes: bytes, checksum: null, hash: { algorithm, value } });
}
