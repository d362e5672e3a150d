/**
 * Cuts a stream of chunks into frames: u32 length, then so many bytes.
 *
 * A length is checked before anything is allocated for it. A frame that lies within one chunk is a view of that chunk; one that is
 * spread over chunks is copied once, into a buffer of its own, which whoever gets the frame may give to `returnBuffer`.
 */
import { AllianceError } from '../core/errors.ts';
import { takeBuffer } from '../core/largeBuffers.ts';
import { malformed } from './compactTypes.ts';

/** Gets one frame without its length; returning false stops the decoder until `resume`. */
// biome-ignore lint/suspicious/noConfusingVoidType: most consumers never stop, and need not say so.
export type OnFrame = (body: Buffer) => boolean | void;

const headerBytes = 4;

export class FrameDecoder {
  /** Largest frame accepted, in bytes without its length. A change holds from the next frame on, also within one chunk. */
  maxBytes: number;

  /** What arrived and was not looked at yet: more than one chunk only while stopped. */
  #waiting: Buffer[] = [];
  #stopped = false;
  #failure: AllianceError | undefined;
  readonly #borrows: boolean;
  readonly #header = Buffer.alloc(headerBytes);
  #headerFill = 0;
  #body: Buffer | undefined;
  #bodyFill = 0;

  /** `borrows`: chunks are only valid during `push`, and what has to wait is copied. */
  constructor(options: { maxBytes: number; borrows?: boolean }) {
    this.maxBytes = options.maxBytes;
    this.#borrows = options.borrows === true;
  }

  /** True from when a consumer returned false until `resume`. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Bytes held for later: unread chunks and the begun frame. Grows while stopped and pushed to. */
  get heldBytes(): number {
    let sum = this.#headerFill + this.#bodyFill;
    for (const chunk of this.#waiting) sum += chunk.length;
    return sum;
  }

  /**
   * Takes a chunk and calls onFrame for each frame that it completes, in order; while stopped it only keeps the chunk.
   * Throws frame_too_large or wire_malformed on a bad length, and again on every later call.
   */
  push(chunk: Buffer, onFrame: OnFrame): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (chunk.length > 0) this.#waiting.push(chunk);
    try {
      if (!this.#stopped) this.#run(onFrame);
    } finally {
      // The last one is of this chunk; those before it have been copied already.
      const rest = this.#borrows && this.#waiting.pop();
      if (rest) this.#waiting.push(Buffer.from(rest));
    }
  }

  /** Goes on after a stop, with what was kept. */
  resume(onFrame: OnFrame): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#stopped = false;
    this.#run(onFrame);
  }

  #run(onFrame: OnFrame): void {
    while (!this.#stopped) {
      const chunk = this.#waiting.shift();
      if (chunk === undefined) return;
      this.#cut(chunk, onFrame);
    }
  }

  #cut(chunk: Buffer, onFrame: OnFrame): void {
    let at = 0;
    while (at < chunk.length) {
      let frame: Buffer | undefined;
      if (this.#body === undefined && this.#headerFill === 0 && chunk.length - at >= headerBytes) {
        const sizeBytes = this.#checkLength(chunk.readUInt32BE(at));
        at += headerBytes;
        if (chunk.length - at >= sizeBytes) {
          frame = chunk.subarray(at, at + sizeBytes);
          at += sizeBytes;
        } else this.#beginBody(sizeBytes);
      } else if (this.#body === undefined) at += this.#fillHeader(chunk, at);
      if (frame === undefined && this.#body !== undefined) {
        at += this.#fillBody(this.#body, chunk, at);
        frame = this.#finished(this.#body);
      }
      if (frame !== undefined && this.#deliver(frame, chunk, at, onFrame)) return;
    }
  }

  /** True when the consumer stopped us; what follows in the chunk then waits. The rest is kept even if the consumer throws. */
  #deliver(frame: Buffer, chunk: Buffer, at: number, onFrame: OnFrame): boolean {
    let stop = true;
    try {
      stop = onFrame(frame) === false;
    } finally {
      if (stop) {
        this.#stopped = true;
        if (at < chunk.length) this.#waiting.unshift(chunk.subarray(at));
      }
    }
    return stop;
  }

  #fillHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerFill, at, at + headerBytes - this.#headerFill);
    this.#headerFill += taken;
    if (this.#headerFill === headerBytes) {
      this.#headerFill = 0;
      this.#beginBody(this.#checkLength(this.#header.readUInt32BE(0)));
    }
    return taken;
  }

  #checkLength(sizeBytes: number): number {
    if (sizeBytes === 0 || sizeBytes >= 0x8000_0000) throw this.#fail(malformed('A frame has no valid length.'));
    if (sizeBytes > this.maxBytes)
      throw this.#fail(
        new AllianceError('frame_too_large', { details: `${sizeBytes} bytes, at most ${this.maxBytes}.` }),
      );
    return sizeBytes;
  }

  #beginBody(sizeBytes: number): void {
    this.#body = takeBuffer(sizeBytes);
    this.#bodyFill = 0;
  }

  #fillBody(body: Buffer, chunk: Buffer, at: number): number {
    const taken = chunk.copy(body, this.#bodyFill, at);
    this.#bodyFill += taken;
    return taken;
  }

  #finished(body: Buffer): Buffer | undefined {
    if (this.#bodyFill < body.length) return undefined;
    this.#body = undefined;
    this.#bodyFill = 0;
    return body;
  }

  #fail(failure: AllianceError): AllianceError {
    this.#failure = failure;
    this.#waiting = [];
    this.#body = undefined;
    this.#bodyFill = 0;
    return failure;
  }
}
