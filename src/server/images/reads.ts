/** Contents that partners read: each from one stream, as long as it is read from the front to the back. */
import { AllianceError, toAllianceError } from '../../core/errors.ts';
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
  /** Called where a stream is opened for it; nothing is told before that is done. */
  readonly onOpen: () => Promise<void>;
}

interface Open {
  readonly key: string;
  readonly region: string;
  readonly stream: ReadStream;
  readonly opened: Promise<void>;
}

export interface ReadsOptions {
  readonly leastRateMs?: number | undefined;
}

export class Reads {
  readonly #options: ReadsOptions;
  readonly #open = new Map<string, Open[]>();
  /** Partners that read too little lately, and until when that counts. */
  readonly #slow = new Map<string, number>();

  constructor(options: ReadsOptions = {}) {
    this.#options = options;
  }

  /** @throws AllianceError overloaded where the partner reads too many at a time */
  async read(uid: string, question: ReadQuestion): Promise<Buffer> {
    const { offset, lengthBytes } = question;
    const { stream, opened } = this.#find(uid, question);
    const answer = stream.read(offset, lengthBytes);
    const [bytes] = await Promise.all([answer, opened]);
    if (!stream.busy && this.#isSlow(uid)) stream.close();
    return bytes;
  }

  #find(uid: string, { store, region, id, sizeBytes, offset, onOpen }: ReadQuestion): Open {
    // Of another size it is another content.
    const key = JSON.stringify([region, id, sizeBytes]);
    const open = this.#open.get(uid) ?? [];
    this.#open.set(uid, open);
    const found = open.find((each) => each.key === key && each.stream.covers(offset));
    if (found) return found;
    if (open.length >= partnerImageLimits.readsPerPartner) endIdle(open);
    const onEnd = (ended: ReadStream) => {
      const index = open.findIndex((each) => each.stream === ended);
      if (index >= 0) open.splice(index, 1);
      if (open.length === 0 && this.#open.get(uid) === open) this.#open.delete(uid);
    };
    const onSlow = () => this.#slow.set(uid, performance.now() + partnerImageLimits.slowMs);
    const { leastRateMs } = this.#options;
    const stream = new ReadStream({ store, id, offset, sizeBytes, onEnd, onSlow, leastRateMs });
    const opened = onOpen();
    opened.catch((thrown: unknown) => stream.close(toAllianceError(thrown)));
    const made: Open = { key, region, stream, opened };
    open.push(made);
    return made;
  }

  #isSlow(uid: string): boolean {
    const until = this.#slow.get(uid);
    if (until === undefined) return false;
    if (performance.now() < until) return true;
    this.#slow.delete(uid);
    return false;
  }

  /** Ends those of partners that may not read there any more. */
  review(isAllowed: (uid: string, region: string) => boolean): void {
    for (const [uid, open] of [...this.#open])
      for (const { region, stream } of [...open])
        if (!isAllowed(uid, region))
          stream.close(new AllianceError('not_exported', { details: 'The partner may not read images any more.' }));
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
