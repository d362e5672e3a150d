/** Contents that partners read: each from one stream, as long as it is read from the front to the back. */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { ImageStore } from '../../lproxy/imageStore.ts';
import { ReadStream } from './readStream.ts';

export interface ReadQuestion {
  readonly store: Pick<ImageStore, 'read'>;
  readonly region: string;
  readonly id: string;
  readonly sizeBytes: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

interface Open {
  readonly key: string;
  readonly stream: ReadStream;
}

export class Reads {
  readonly #open = new Map<string, Open[]>();

  /** @throws AllianceError overloaded where the partner reads too many at a time */
  read(uid: string, { store, region, id, sizeBytes, offset, lengthBytes }: ReadQuestion): Promise<Buffer> {
    // Of another size it is another content.
    const key = JSON.stringify([region, id, sizeBytes]);
    const open = this.#open.get(uid) ?? [];
    this.#open.set(uid, open);
    const found = open.find((each) => each.key === key && each.stream.covers(offset));
    if (found) return found.stream.read(offset, lengthBytes);
    if (open.length >= partnerImageLimits.readsPerPartner) endIdle(open);
    const onEnd = (ended: ReadStream) => {
      const index = open.findIndex((each) => each.stream === ended);
      if (index >= 0) open.splice(index, 1);
      if (open.length === 0 && this.#open.get(uid) === open) this.#open.delete(uid);
    };
    const stream = new ReadStream({ store, id, offset, sizeBytes, onEnd });
    open.push({ key, stream });
    return stream.read(offset, lengthBytes);
  }

  close(): void {
    for (const open of [...this.#open.values()]) for (const { stream } of [...open]) stream.close();
  }
}

/** Makes room for one more: the one that nobody waits for, and nobody has for longest. */
function endIdle(open: readonly Open[]): void {
  const [idle] = open.filter(({ stream }) => !stream.busy).sort((a, b) => a.stream.usedAt - b.stream.usedAt);
  if (!idle)
    throw new AllianceError('overloaded', {
      details: 'The partner reads too many images at a time.',
      retryAfterMs: 1000,
    });
  idle.stream.close();
}
