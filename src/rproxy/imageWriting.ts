/** Content for an image at a partner: chunks in flight, in their order, and from where the partner has it after the way was lost. */
import { setTimeout as delay } from 'node:timers/promises';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { partnerImageLimits } from '../core/limits.ts';
import type { StoreCall, StoredImage } from '../lproxy/imageStore.ts';
import { ImageWrite, toInt64, toNumber } from '../wire/types.ts';
import { type ImageCalls, mayPass, pauseBefore } from './imageContent.ts';
import { malformed, readImage } from './imageReading.ts';

const { chunkBytes, chunksInFlight, retries, shortReceipts, againBytes, pollMinMs, pollMaxMs, pollMs } =
  partnerImageLimits;

export interface NewContent {
  readonly id: string;
  readonly content: AsyncIterable<Buffer>;
  readonly sizeBytes: number;
}

interface Chunk {
  readonly offset: number;
  readonly data: Buffer;
}

interface Receipt {
  readonly received: number;
  readonly image: StoredImage | null;
}

/** Pieces of any size as chunks of one; those of the caller are its own again when it is asked for more, so they are copied. */
async function* chunked(content: AsyncIterable<Buffer>, sizeBytes: number): AsyncGenerator<Chunk, void, undefined> {
  const mismatch = (what: string) =>
    new AllianceError('image_mismatch', { details: `The content ${what} the ${sizeBytes} bytes that it should have.` });
  let offset = 0;
  let chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, sizeBytes));
  let filled = 0;
  for await (const piece of content) {
    if (offset + filled + piece.length > sizeBytes) throw mismatch('has more than');
    for (let taken = 0; taken < piece.length; ) {
      const copied = piece.copy(chunk, filled, taken);
      taken += copied;
      filled += copied;
      if (filled < chunk.length) continue;
      yield { offset, data: chunk };
      offset += filled;
      filled = 0;
      chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, sizeBytes - offset));
    }
  }
  if (offset + filled < sizeBytes) throw mismatch('ends before');
  // An empty content is one chunk, too.
  if (sizeBytes === 0) yield { offset, data: chunk };
}

interface Held {
  readonly chunk: Chunk;
  answer: Promise<Receipt>;
  /** It was sent when all before it was known to be received. */
  first: boolean;
}

/** Sends what is not received yet, again where the way was lost. What the partner has is forgotten here. */
class Sending {
  readonly #send: (chunk: Chunk) => Promise<Receipt>;
  readonly #signal: AbortSignal | undefined;
  /** Not known to be received, in their order. */
  readonly #held: Held[] = [];
  #failures = 0;
  /** Receipts in a row by which the partner does not have what it was sent. */
  #short = 0;
  /** What may still go again for such ones. */
  #againBytes: number;
  image: StoredImage | null = null;

  constructor(send: (chunk: Chunk) => Promise<Receipt>, sizeBytes: number, signal: AbortSignal | undefined) {
    this.#send = send;
    this.#signal = signal;
    this.#againBytes = againBytes + sizeBytes;
  }

  get inFlight(): number {
    return this.#held.length;
  }

  add(chunk: Chunk): void {
    this.#held.push({ chunk, answer: this.#ask(chunk), first: this.#held.length === 0 });
  }

  /** Waits for the oldest one. */
  async settle(): Promise<void> {
    const [oldest] = this.#held;
    if (!oldest) return;
    const { offset, data } = oldest.chunk;
    let receipt: Receipt;
    try {
      receipt = await oldest.answer;
    } catch (thrown) {
      if (this.#signal?.aborted || !mayPass(thrown) || this.#failures >= retries) throw thrown;
      await pauseBefore(this.#failures++, thrown, this.#signal);
      return this.#sendAgain();
    }
    const last = this.#held.at(-1)!.chunk;
    if (receipt.received > last.offset + last.data.length)
      throw malformed('received', 'The partner says to have more than it was sent.');
    if (receipt.received < offset && oldest.first)
      throw new AllianceError('glance_unreachable', {
        details: `The partner has lost what it was sent: it has ${receipt.received} of ${offset} bytes.`,
      });
    this.image = receipt.image ?? this.image;
    if (receipt.received >= offset + data.length) {
      this.#failures = 0;
      this.#short = 0;
      this.#held.shift();
      return;
    }
    await this.#beforeAgain();
    this.#sendAgain();
  }

  /**
   * One that came there before those in front of it was left out: it goes again, with all behind it. Of itself that is over with the next
   * receipt; a partner that wants everything again and again gets it ever later, and in the end no more.
   */
  async #beforeAgain(): Promise<void> {
    const refused = malformed('received', 'The partner does not take what it is sent.');
    for (const { chunk } of this.#held) this.#againBytes -= chunk.data.length;
    if (this.#short >= shortReceipts || this.#againBytes < 0) throw refused;
    if (this.#short > 0) await pauseBefore(this.#short - 1, refused, this.#signal);
    this.#short++;
  }

  #sendAgain(): void {
    for (const [index, held] of this.#held.entries()) {
      held.answer = this.#ask(held.chunk);
      held.first = index === 0;
    }
  }

  #ask(chunk: Chunk): Promise<Receipt> {
    const answer = this.#send(chunk);
    // Each is looked at in its turn, or not at all after one before it failed.
    answer.catch(() => undefined);
    return answer;
  }
}

/** @throws AllianceError glance_unreachable where the partner has lost what it had, so that all of it must be sent anew */
export async function writeContent(
  { call, reference }: ImageCalls,
  { id, content, sizeBytes }: NewContent,
  get: (call: StoreCall) => Promise<StoredImage>,
  { signal }: StoreCall,
): Promise<StoredImage> {
  const image = reference(id);
  const size = toInt64(sizeBytes);
  const sending = new Sending(
    async ({ offset, data }) => {
      const argument = new ImageWrite({ image, offset: toInt64(offset), data, size });
      const answer = await call('writeImageData', argument, signal);
      const made = answer.image === undefined ? null : readImage(answer.image, { id, ours: true });
      return { received: toNumber(answer.received), image: made };
    },
    sizeBytes,
    signal,
  );
  for await (const chunk of chunked(content, sizeBytes)) {
    sending.add(chunk);
    while (sending.inFlight >= chunksInFlight) await sending.settle();
  }
  while (sending.inFlight > 0) await sending.settle();
  return assertStored(sending.image ?? (await untilStored(get, signal)), sizeBytes);
}

/** Glance there may need long for its last step. */
async function untilStored(
  get: (call: StoreCall) => Promise<StoredImage>,
  signal: AbortSignal | undefined,
): Promise<StoredImage> {
  const call = signal ? { signal } : {};
  const giveUpAt = performance.now() + pollMs;
  let failures = 0;
  for (let pauseMs: number = pollMinMs; ; pauseMs = Math.min(pollMaxMs, pauseMs * 2)) {
    await delay(pauseMs, undefined, call);
    try {
      const image = await get(call);
      failures = 0;
      if (!['saving', 'importing', 'uploading'].includes(image.status)) return image;
    } catch (thrown) {
      if (signal?.aborted || !mayPass(toAllianceError(thrown)) || failures++ >= retries) throw thrown;
    }
    if (performance.now() > giveUpAt)
      throw new AllianceError('glance_unreachable', { details: 'The image did not become active.' });
  }
}

function assertStored(image: StoredImage, sizeBytes: number): StoredImage {
  if (image.status !== 'active')
    throw new AllianceError('glance_unreachable', { details: `The image is ${image.status} after its content came.` });
  if (image.sizeBytes !== sizeBytes)
    throw new AllianceError('image_mismatch', { details: `The image has ${image.sizeBytes} bytes of ${sizeBytes}.` });
  return image;
}
