/** Stores that list differently: for so long only, or without owners. */
import { AllianceError } from '../core/errors.ts';
import type { ImageStore, StoredImage } from '../lproxy/imageStore.ts';

/** Whose calls go on to `store`, but for those that are given. */
const over = (store: ImageStore, calls: Partial<ImageStore>): ImageStore =>
  // Its methods may be those of a class.
  new Proxy(store, {
    get(target, key) {
      const own: unknown = Reflect.get(calls, key);
      const value: unknown = own ?? Reflect.get(target, key);
      return typeof value === 'function' && own === undefined ? value.bind(target) : value;
    },
  });

/** Where a `list_images_timeout` says so, listings may take only so long; `read` and `write` go on for as long as bytes come. */
export function withListTimeout(store: ImageStore, timeoutMs: number | null): ImageStore {
  if (timeoutMs === null) return store;
  return over(store, {
    async *list({ signal } = {}) {
      const late = AbortSignal.timeout(timeoutMs);
      try {
        yield* store.list({ signal: signal ? AbortSignal.any([signal, late]) : late });
      } catch (cause) {
        if (!late.aborted || signal?.aborted) throw cause;
        const details = `${store.label}: the listing took longer than ${timeoutMs / 1000} s (list_images_timeout).`;
        throw new AllianceError('glance_unreachable', { cause, details });
      }
    },
  });
}

const withoutOwner = (image: StoredImage): StoredImage => ({ ...image, owner: '' });

/** All of its images count as those of the project that is asked for. */
export const ofNobody = (store: ImageStore): ImageStore =>
  over(store, {
    async *list(call) {
      for await (const page of store.list(call)) yield page.map(withoutOwner);
    },
    get: async (id, call) => withoutOwner(await store.get(id, call)),
  });
