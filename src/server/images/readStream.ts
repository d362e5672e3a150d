/**
 * One content that a partner reads: a single stream out of Glance, of which several chunks may be asked for at the same time and in any
 * order, and a little of what was told may be asked for again. What is read ahead is bounded.
 */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { ImageStore } from '../../lproxy/imageStore.ts';
import { LeastRate } from './leastRate.ts';

export interface ReadStreamOptions {
  readonly store: Pick<ImageStore, 'read'>;
  readonly id: string;
  /** First byte. */
  readonly offset: number;
  /** Of the whole content. */
  readonly sizeBytes: number;
  /** Called once, whatever ended it. */
  readonly onEnd: (stream: ReadStream) => void;
  /** Called where the partner asks for too little, before it ends. */
  readonly onSlow?: () => void;
  /** Over which time it is looked how much that is; by default that of the limits. */
  readonly leastRateMs?: number | undefined;
}

interface Question {
  readonly offset: number;
  readonly end: number;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (error: unknown) => void;
}

const { chunkBytes, readAheadBytes, readBehindBytes, readIdleMs } = partnerImageLimits;

export class ReadStream {
  readonly #options: ReadStreamOptions;
  readonly #abort = new AbortController();
  /** Of `chunkBytes` each but the last one, from `#from` on; never written again once they are full, so answers are views of them. */
  readonly #blocks: Buffer[] = [];
  #from: number;
  /** So far it was read. */
  #at: number;
  /** So far it was asked for. */
  #wantedTo: number;
  #questions: Question[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  readonly #idle: NodeJS.Timeout;
  readonly #rate: LeastRate;
  usedAt = performance.now();

  constructor(options: ReadStreamOptions) {
    this.#options = options;
    this.#from = options.offset;
    this.#at = options.offset;
    this.#wantedTo = options.offset;
    this.#idle = setTimeout(() => this.#onIdle(), readIdleMs).unref();
    this.#rate = new LeastRate({
      // What was read to its end holds nothing of Glance's.
      excused: () => this.busy || this.#at >= options.sizeBytes,
      tooSlow: () => {
        options.onSlow?.();
        this.close();
      },
      periodMs: options.leastRateMs,
    });
    void this.#pump();
  }

  /** Whether somebody waits for it. */
  get busy(): boolean {
    return this.#questions.length > 0;
  }

  /** Whether it has the byte, or comes to it soon. */
  covers(offset: number): boolean {
    return !this.#ended && offset >= this.#from && offset <= this.#at + readAheadBytes;
  }

  /** As many bytes as are asked for; fewer at the end. Only where it `covers` the offset. */
  read(offset: number, lengthBytes: number): Promise<Buffer> {
    this.usedAt = performance.now();
    this.#idle.refresh();
    const end = Math.min(offset + lengthBytes, this.#options.sizeBytes);
    return new Promise((resolve, reject) => {
      this.#questions.push({ offset, end, resolve, reject });
      this.#rate.count(Math.max(0, end - this.#wantedTo));
      this.#wantedTo = Math.max(this.#wantedTo, end);
      this.#answer();
      this.#wake?.();
    });
  }

  close(error: AllianceError = new AllianceError('shutting_down', { retryAfterMs: 1000 })): void {
    this.#finish(error);
  }

  async #pump(): Promise<void> {
    const { store, id, offset, sizeBytes } = this.#options;
    try {
      for await (const piece of store.read(id, offset, { signal: this.#abort.signal })) {
        // Closed while it was read.
        if (this.#ended) return;
        if (this.#at + piece.length > sizeBytes)
          throw new AllianceError('glance_malformed', { details: 'The content is longer than the image says.' });
        this.#keep(piece);
        this.#answer();
        while (this.#at >= this.#wantedTo + readAheadBytes && !this.#ended)
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        if (this.#ended) return;
      }
      if (this.#at < sizeBytes)
        throw new AllianceError('glance_unreachable', { details: 'The content ended before its time.' });
    } catch (thrown) {
      this.#finish(thrown);
    }
  }

  /** The pieces belong to the store again as soon as the next one is asked for. */
  #keep(piece: Buffer): void {
    let taken = 0;
    while (taken < piece.length) {
      const within = (this.#at - this.#from) % chunkBytes;
      const index = Math.floor((this.#at - this.#from) / chunkBytes);
      let block = this.#blocks[index];
      if (!block) {
        block = Buffer.allocUnsafeSlow(Math.min(chunkBytes, this.#options.sizeBytes - this.#at));
        this.#blocks.push(block);
      }
      const copied = piece.copy(block, within, taken);
      taken += copied;
      this.#at += copied;
    }
  }

  #answer(): void {
    const ready = this.#questions.filter(({ end }) => end <= this.#at);
    if (ready.length > 0) this.#questions = this.#questions.filter(({ end }) => end > this.#at);
    for (const { offset, end, resolve } of ready) resolve(this.#bytes(offset, end));
    const needed = Math.min(this.#wantedTo - readBehindBytes, ...this.#questions.map(({ offset }) => offset));
    while (this.#from + chunkBytes <= needed && this.#blocks.length > 1) {
      this.#blocks.shift();
      this.#from += chunkBytes;
    }
  }

  #bytes(offset: number, end: number): Buffer {
    const first = Math.floor((offset - this.#from) / chunkBytes);
    const last = Math.floor((end - 1 - this.#from) / chunkBytes);
    const begin = this.#from + first * chunkBytes;
    if (first === last) return this.#blocks[first]!.subarray(offset - begin, end - begin);
    return Buffer.concat(this.#blocks.slice(first, last + 1)).subarray(offset - begin, end - begin);
  }

  /** A store that is slow is no partner that has lost interest. */
  #onIdle(): void {
    if (this.busy) this.#idle.refresh();
    else this.close();
  }

  #finish(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#idle);
    this.#rate.stop();
    this.#abort.abort();
    this.#wake?.();
    for (const { reject } of this.#questions) reject(error);
    this.#questions = [];
    this.#blocks.length = 0;
    this.#options.onEnd(this);
  }
}
