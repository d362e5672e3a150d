/**
 * One content that a partner writes: its chunks, put in order, become one stream into Glance. It is held by the process and by no
 * connection, so whoever lost its connection goes on where it was. What waits for Glance is bounded, and the bytes are looked at on
 * their way.
 */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { ImageStore, StoredImage } from '../../lproxy/imageStore.ts';
import { inspected } from '../../sync/images/diskFormat.ts';
import { LeastRate } from './leastRate.ts';

export interface UploadOptions {
  readonly store: Pick<ImageStore, 'write'>;
  readonly id: string;
  readonly diskFormat: string | null;
  readonly sizeBytes: number;
  /** Before Glance gets the last piece. What it throws ends the upload, and no image comes of it. */
  readonly onLast?: () => void;
  /** The image is there as a whole; before anybody hears of it. */
  readonly onStored: (image: StoredImage) => Promise<void>;
  /** Called once, whatever ended it. */
  readonly onEnd: (failure: unknown) => void;
  /** Over which time it is looked whether enough comes; by default that of the limits. */
  readonly leastRateMs?: number | undefined;
}

export interface Chunk {
  readonly offset: number;
  readonly data: Buffer;
}

export interface Receipt {
  readonly received: number;
  /** Once Glance has it all. */
  readonly image?: StoredImage;
}

const { uploadWindowBytes, uploadHeldBytes, uploadWindowChunks, uploadHeldChunks, uploadIdleMs, finishWaitMs } =
  partnerImageLimits;

export class Upload {
  readonly sizeBytes: number;
  readonly #options: UploadOptions;
  readonly #abort = new AbortController();
  readonly #chunks: Buffer[] = [];
  #waitingBytes = 0;
  #received = 0;
  #failure: AllianceError | undefined;
  readonly #result: Promise<StoredImage>;
  /** Those who wait for something to change. */
  #listeners: (() => void)[] = [];
  readonly #idle: NodeJS.Timeout;
  readonly #rate: LeastRate;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.sizeBytes = options.sizeBytes;
    this.#idle = setTimeout(() => this.abort(lost('Nothing came for too long.')), uploadIdleMs).unref();
    this.#rate = new LeastRate({
      excused: () => this.#waitingBytes > 0 || this.#received === this.sizeBytes,
      tooSlow: () => this.abort(lost('Too little came for too long.')),
      periodMs: options.leastRateMs,
    });
    this.#result = this.#write();
    this.#result.then(
      () => this.#end(undefined),
      (thrown: unknown) => this.#end(thrown),
    );
  }

  get received(): number {
    return this.#received;
  }

  /**
   * Takes a chunk, as far as it is the next one. The answer comes when Glance has taken enough of what came before.
   *
   * @throws AllianceError what ended the upload; bad_request for bytes beyond the end, overloaded for more than was waited for
   */
  async take({ offset, data }: Chunk): Promise<Receipt> {
    if (this.#failure) throw this.#failure;
    const end = offset + data.length;
    if (end > this.sizeBytes)
      throw new AllianceError('bad_request', { field: 'offset', details: 'The chunk goes beyond the size.' });
    if (offset > this.#received) return { received: this.#received };
    const fresh = data.subarray(this.#received - offset);
    if (end > this.#received) this.#push(fresh);
    const received = this.#received;
    if (received === this.sizeBytes && end === this.sizeBytes) return this.#finished();
    while (this.#waitingBytes > uploadWindowBytes || this.#chunks.length > uploadWindowChunks) await this.#change();
    return { received };
  }

  /** Glance is told, and makes nothing of it. */
  abort(error: AllianceError): void {
    this.#failure ??= error;
    this.#abort.abort(error);
    this.#changed();
  }

  #push(data: Buffer): void {
    if (this.#waitingBytes + data.length > uploadHeldBytes || this.#chunks.length >= uploadHeldChunks)
      throw new AllianceError('overloaded', { details: 'Glance is slower than the partner.', retryAfterMs: 200 });
    this.#chunks.push(onItsOwn(data));
    this.#waitingBytes += data.length;
    this.#received += data.length;
    this.#rate.count(data.length);
    if (this.#received < this.sizeBytes) this.#idle.refresh();
    else clearTimeout(this.#idle);
    this.#changed();
  }

  /** Glance may need long for the last step; the partner then asks again. */
  async #finished(): Promise<Receipt> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), finishWaitMs);
    });
    try {
      const image = await Promise.race([this.#result, late]);
      return { received: this.sizeBytes, ...(image && { image }) };
    } finally {
      clearTimeout(timer);
    }
  }

  async #write(): Promise<StoredImage> {
    const { store, id, diskFormat, sizeBytes, onStored } = this.#options;
    const content = inspected(this.#content(), { diskFormat, sizeBytes });
    try {
      const image = await store.write(id, content, sizeBytes, { signal: this.#abort.signal });
      await onStored(image);
      return image;
    } catch (thrown) {
      // What we ended ourselves looks to Glance's client like any lost connection.
      throw this.#failure ?? thrown;
    }
  }

  async *#content(): AsyncGenerator<Buffer, void, undefined> {
    let told = 0;
    while (told < this.sizeBytes) {
      if (this.#failure) throw this.#failure;
      const chunk = this.#chunks.shift();
      if (!chunk) {
        await this.#change(true);
        continue;
      }
      this.#waitingBytes -= chunk.length;
      told += chunk.length;
      this.#changed();
      if (told === this.sizeBytes) this.#options.onLast?.();
      yield chunk;
    }
  }

  /** Rejects with what ended the upload; `quietly`, for those who look themselves. */
  async #change(quietly = false): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#listeners.push(resolve);
    });
    if (this.#failure && !quietly) throw this.#failure;
  }

  #changed(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  #end(thrown: unknown): void {
    clearTimeout(this.#idle);
    this.#rate.stop();
    if (thrown !== undefined) this.#failure ??= asFailure(thrown);
    this.#chunks.length = 0;
    this.#waitingBytes = 0;
    this.#changed();
    this.#options.onEnd(thrown);
  }
}

/** Without the message that it came in, where most of that is something else: what is kept is then what is counted. */
function onItsOwn(data: Buffer): Buffer {
  if (data.buffer.byteLength <= 2 * data.length) return data;
  const own = Buffer.allocUnsafeSlow(data.length);
  data.copy(own);
  return own;
}

const lost = (details: string): AllianceError => new AllianceError('glance_unreachable', { details });

const asFailure = (thrown: unknown): AllianceError =>
  thrown instanceof AllianceError ? thrown : new AllianceError('internal', { cause: thrown });
