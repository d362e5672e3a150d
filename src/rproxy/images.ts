/** A partner's images as a store: listed, read and made over the session, its answers checked as those of somebody who means harm. */
import type { ClientPool } from '../client/pool.ts';
import { AllianceError } from '../core/errors.ts';
import type { ImageAttributes, ImageChanges, ImageStore, StoreCall, StoredImage } from '../lproxy/imageStore.ts';
import type { Partner } from '../model/partner.ts';
import type { MethodName, Result } from '../wire/methods.ts';
import { ImageReference, ImageUpdate, NewImage } from '../wire/types.ts';
import { removedOf, toWireAttributes } from './imageAttributes.ts';
import { type ImageCalls, readContent } from './imageContent.ts';
import { type ListingOptions, listPartnerImages } from './imageListing.ts';
import { checkId, readImage } from './imageReading.ts';
import { writeContent } from './imageWriting.ts';

/**
 * Images that this cloud made there have no owner (''), as if they were everybody's: whose project they are in is the partner's business.
 * Its own that are nobody's get one that is no project's.
 *
 * How far images are seen is the partner's decision: what it refuses to show further stays private, and the store does not publish.
 */
export function partnerImages(pool: ClientPool, partner: Partner, options: ListingOptions = {}): ImageStore {
  const calls = createCalls(pool, partner, options);
  return {
    label: options.region === undefined ? partner.cloudId : `${partner.cloudId}:${options.region}`,
    publishes: false,
    list: (call = {}) => listPartnerImages(calls, options, call),
    get: async (id, call = {}) => get(calls, id, call),
    // Projects of this cloud mean nothing there.
    members: async () => [],
    addMember: async () => {
      throw new AllianceError('image_refused', { details: 'Images at a partner are shared with no projects.' });
    },
    read: (id, offset, call = {}) => readContent(calls, { id: checkId(id), offset }, call),
    create: (id, attributes, call = {}) => create(calls, checkId(id), attributes, call),
    write: (id, content, sizeBytes, call = {}) =>
      writeContent(calls, { id: checkId(id), content, sizeBytes }, (signal) => get(calls, id, signal), call),
    update: (id, changes, call = {}) => update(calls, checkId(id), changes, call),
    delete: async (id, { signal } = {}) => {
      await calls.call('deleteImage', calls.reference(checkId(id)), signal);
    },
    // The pool is not its own.
    close: async () => undefined,
  };
}

function createCalls(pool: ClientPool, partner: Partner, { region }: ListingOptions): ImageCalls {
  return {
    reference: (id) => new ImageReference({ id, ...(region !== undefined && { region }) }),
    call: async (method, argument, signal) => {
      signal?.throwIfAborted();
      return untilAborted(pool.call(partner, method, argument), signal);
    },
  };
}

/** The call goes on by itself: an answer that nobody waits for is dropped. */
async function untilAborted<M extends MethodName>(
  answer: Promise<Result<M>>,
  signal: AbortSignal | undefined,
): Promise<Result<M>> {
  if (!signal) return answer;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}

async function get({ call, reference }: ImageCalls, id: string, { signal }: StoreCall): Promise<StoredImage> {
  return readImage(await call('getImage', reference(checkId(id)), signal), { id });
}

/** What the partner refuses to show as far as was asked for is shown as far as it lets us. */
async function unlessRefused<T>(
  visibility: string | undefined,
  ask: (withVisibility: boolean) => Promise<T>,
): Promise<T> {
  if (visibility === undefined || visibility === 'private') return ask(true);
  // Never `public`: no partner may set it.
  if (visibility === 'public') return ask(false);
  try {
    return await ask(true);
  } catch (thrown) {
    if (!(thrown instanceof AllianceError && thrown.remote && thrown.errorName === 'image_refused')) throw thrown;
    return ask(false);
  }
}

function create(
  calls: ImageCalls,
  id: string,
  attributes: ImageAttributes,
  { signal }: StoreCall,
): Promise<StoredImage> {
  const { visibility, ...rest } = attributes;
  return unlessRefused(visibility, async (withVisibility) => {
    const said = toWireAttributes(withVisibility ? attributes : rest);
    const argument = new NewImage({ image: calls.reference(id), attributes: said });
    return readImage(await calls.call('createImage', argument, signal), { id, ours: true });
  });
}

function update(calls: ImageCalls, id: string, changes: ImageChanges, { signal }: StoreCall): Promise<StoredImage> {
  const { visibility, ...rest } = changes;
  const removed = removedOf(changes);
  return unlessRefused(visibility, async (withVisibility) => {
    const argument = new ImageUpdate({
      image: calls.reference(id),
      attributes: toWireAttributes(withVisibility ? changes : rest),
      ...(removed.length > 0 && { removed_properties: removed }),
    });
    return readImage(await calls.call('updateImage', argument, signal), { id, ours: true });
  });
}
