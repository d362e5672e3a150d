/**
 * Sealed frames (docs/protocol.md, section 4): `u32 n || 0xA1 || ciphertext || tag (16)`, AES-256-GCM, the nonce the iv XOR a
 * counter that is never sent. One sealer is the only writer of its direction, and each frame is sealed in one synchronous step,
 * so that no counter is ever used twice.
 */
import { type CipherGCM, createCipheriv, createDecipheriv } from 'node:crypto';
import { AllianceError } from '../core/errors.ts';
import { takeBuffer } from '../core/largeBuffers.ts';
import { channelLimits, wireLimits } from '../core/limits.ts';
import { writeNonce } from './nonce.ts';

/**
 * Large plaintexts pass the cipher in pieces of this size: Node makes a buffer for each, and one that the processor's cache holds and the
 * allocator has at hand halves what sealing costs (measured: 16 to 64 KiB alike).
 */
const pieceBytes = 32 * 1024;

/** First byte of a sealed frame's body. */
export const sealedType = 0xa1;

const lengthBytes = 4;
const headerBytes = 5;
const tagBytes = 16;
/** What a frame adds to its plaintext, without the u32. */
const overheadBytes = 1 + tagBytes;
const cipherOptions = { authTagLength: tagBytes };

interface FrameLimits {
  readonly frames: number;
  readonly plaintextBytes: number;
}

/** Key, nonce and counters of one direction. */
class Direction {
  frames = 0;
  bytes = 0;
  dropped = false;
  readonly key: Buffer;
  /** u32 n || type, rewritten for each frame; Node copies it on use. */
  readonly aad = Buffer.alloc(headerBytes, sealedType);
  readonly limits: FrameLimits;
  readonly #iv: Buffer;
  readonly #nonce: Buffer;

  constructor(key: Buffer, iv: Buffer, limits: FrameLimits) {
    if (key.length !== 32 || iv.length !== 12) throw new RangeError('A channel key has 32 bytes and an iv 12.');
    // Copies, so that wiping here and wiping by the caller do not meet.
    this.key = Buffer.from(key);
    this.#iv = Buffer.from(iv);
    this.#nonce = Buffer.alloc(12);
    this.limits = limits;
  }

  /** The nonce of the next frame, which it counts. */
  nextNonce(): Buffer {
    writeNonce(this.#nonce, this.#iv, this.frames);
    this.frames += 1;
    return this.#nonce;
  }

  fits(plaintextBytes: number): boolean {
    return this.frames < this.limits.frames && this.bytes + plaintextBytes <= this.limits.plaintextBytes;
  }

  drop(): void {
    this.dropped = true;
    this.key.fill(0);
    this.#iv.fill(0);
    this.#nonce.fill(0);
  }
}

/** Everything through the cipher and to its place. */
function pass(cipher: CipherGCM, from: Buffer, to: Buffer, at: number): Buffer {
  for (let begin = 0; begin < from.length; begin += pieceBytes)
    to.set(cipher.update(from.subarray(begin, begin + pieceBytes)), at + begin);
  return to;
}

export class FrameSealer {
  readonly #direction: Direction;

  constructor(key: Buffer, iv: Buffer, limits: FrameLimits = channelLimits) {
    this.#direction = new Direction(key, iv, limits);
  }

  /** Frames sealed so far. */
  get frames(): number {
    return this.#direction.frames;
  }

  /** Bytes of plaintext sealed so far. */
  get bytes(): number {
    return this.#direction.bytes;
  }

  /**
   * The whole frame, u32 first, to be written once and in this order; then it may be given to `returnBuffer`. Throws when the channel's
   * use is at its end.
   */
  seal(plaintext: Buffer): Buffer {
    const direction = this.#direction;
    const size = plaintext.length;
    if (direction.dropped) throw new AllianceError('connection_lost', { details: "The channel's keys are dropped." });
    if (size === 0) throw new AllianceError('internal', { details: 'A sealed frame holds at least one message.' });
    if (size + overheadBytes > wireLimits.sealedFrameBytes) throw new AllianceError('frame_too_large');
    if (!direction.fits(size)) throw new AllianceError('connection_lost', { details: 'The channel is used up.' });
    const frame =
      size > pieceBytes ? takeBuffer(headerBytes + size + tagBytes) : Buffer.allocUnsafe(headerBytes + size + tagBytes);
    frame.writeUInt32BE(size + overheadBytes, 0);
    frame[lengthBytes] = sealedType;
    direction.aad.writeUInt32BE(size + overheadBytes, 0);
    const cipher = createCipheriv('aes-256-gcm', direction.key, direction.nextNonce(), cipherOptions);
    cipher.setAAD(direction.aad);
    pass(cipher, plaintext, frame, headerBytes);
    cipher.final();
    frame.set(cipher.getAuthTag(), headerBytes + size);
    direction.bytes += size;
    return frame;
  }

  /** Wipes the keys; nothing can be sealed afterwards. */
  drop(): void {
    this.#direction.drop();
  }
}

export class FrameOpener {
  readonly #direction: Direction;

  constructor(key: Buffer, iv: Buffer, limits: FrameLimits = channelLimits) {
    this.#direction = new Direction(key, iv, limits);
  }

  /** Frames opened so far. */
  get frames(): number {
    return this.#direction.frames;
  }

  /** Bytes of plaintext opened so far. */
  get bytes(): number {
    return this.#direction.bytes;
  }

  /** The plaintext of the next frame, given its body from the type byte on. The first failure is the last: the keys are dropped. */
  open(frameBody: Buffer): Buffer {
    try {
      return this.#open(frameBody);
    } catch (cause) {
      this.drop();
      throw new AllianceError('wire_malformed', { cause });
    }
  }

  /** Wipes the keys; nothing can be opened afterwards. */
  drop(): void {
    this.#direction.drop();
  }

  #open(body: Buffer): Buffer {
    const direction = this.#direction;
    const size = body.length - overheadBytes;
    if (direction.dropped) throw new Error('keys dropped');
    if (size < 1 || body.length > wireLimits.sealedFrameBytes || body[0] !== sealedType) throw new Error('form');
    if (!direction.fits(size)) throw new Error('used up');
    direction.aad.writeUInt32BE(body.length, 0);
    const decipher = createDecipheriv('aes-256-gcm', direction.key, direction.nextNonce(), cipherOptions);
    decipher.setAAD(direction.aad);
    decipher.setAuthTag(body.subarray(1 + size));
    const plaintext = decipher.update(body.subarray(1, 1 + size));
    decipher.final();
    direction.bytes += size;
    return plaintext;
  }
}
