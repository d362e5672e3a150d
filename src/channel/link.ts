/**
 * One framed connection, either role: bytes in, messages out, and the reverse.
 *
 * A link starts plain and becomes sealed once, by `secure`. What is encoded into `writer` within one turn of the event loop leaves in
 * one write, and sealed in one frame: the plaintext of a sealed frame has the same form as a plain stream (u32 length, message, ...),
 * so both states share one output buffer. Reading stops while the peer does not take our output or the owner asks for it (`pause`).
 */
import type { Duplex } from 'node:stream';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { returnBuffer } from '../core/largeBuffers.ts';
import { channelLimits, wireLimits } from '../core/limits.ts';
import { FrameOpener, FrameSealer, sealedType } from '../crypto/frames.ts';
import { CompactWriter } from '../wire/compact.ts';
import { protocolId } from '../wire/compactTypes.ts';
import { FrameDecoder } from '../wire/frames.ts';
import type { ChannelKeys } from './attach.ts';
import type { Reads } from './reads.ts';

/** What a sealed frame holds besides its plaintext: the mark and the tag. */
const sealOverheadBytes = 17;

const nothing = Buffer.alloc(0);

export interface LinkOptions {
  readonly stream: Duplex;
  /** Where the stream's bytes come from, if not from its `data`. */
  readonly reads?: Reads | undefined;
  /** One whole compact message. The buffer is only valid during the call. */
  readonly onMessage: (message: Buffer, sealed: boolean) => void;
  /** Called once. Without an error the end was orderly. */
  readonly onClose: (error: AllianceError | undefined) => void;
  /** The first frame has opened: the peer holds the keys. */
  readonly onConfirmed?: () => void;
  /** Bytes read off the connection, for limits and metrics. */
  readonly onBytes?: (sizeBytes: number) => void;
  /** Bytes given to the connection. */
  readonly onSent?: (sizeBytes: number) => void;
}

const usedShareOf = (side: { frames: number; bytes: number } | undefined): number =>
  side ? Math.max(side.frames / channelLimits.frames, side.bytes / channelLimits.plaintextBytes) : 0;

type PauseReason = 'output' | 'owner' | 'turn';

export class Link {
  /** Encode here, between `mark()` and `commit(mark)`. */
  readonly writer = new CompactWriter();
  readonly #options: LinkOptions;
  readonly #stream: Duplex;
  readonly #decoder: FrameDecoder;
  readonly #paused = new Set<PauseReason>();
  #sealer: FrameSealer | undefined;
  #opener: FrameOpener | undefined;
  #confirmed = false;
  /** Whether the peer is known to hold the keys; who is not may make us keep little. */
  #proven = false;
  /** Whether our own first sealed frame, which the peer wants small, is still to come. */
  #opening = false;
  #closed = false;
  /** Our side has ended: what is written is on its way, and nothing more is taken. */
  #ended = false;
  #flushScheduled = false;
  #pumping = false;
  /** Plaintext of a sealed frame whose messages are not all delivered yet. */
  #inbox: Buffer | undefined;
  #inboxOffset = 0;
  #drainTimer: NodeJS.Timeout | undefined;
  /** Called when what they wait for has left. */
  readonly #sending = new Set<() => void>();
  /** Messages delivered since the last flush, which comes with the end of a turn. */
  #delivered = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#stream = options.stream;
    this.#decoder = new FrameDecoder({ maxBytes: wireLimits.plainFrameBytes, borrows: options.reads !== undefined });
    this.#stream.on('drain', this.#onDrain);
    this.#stream.on('error', (cause) => this.close(new AllianceError('connection_lost', { cause })));
    this.#stream.on('end', () => {
      if (!this.#ended || this.#stream.writableFinished) this.close();
    });
    this.#stream.on('close', () => this.close());
    // Of several buffers TLS would make one first, by copying them.
    if ('encrypted' in this.#stream) Object.assign(this.#stream, { _writev: null });
    if (options.reads) options.reads.begin(this.#onData);
    else this.#stream.on('data', this.#onData);
    if (this.#paused.size === 0) this.#stream.resume();
  }

  get sealed(): boolean {
    return this.#sealer !== undefined;
  }

  get confirmed(): boolean {
    return this.#confirmed;
  }

  /** Nothing more is sent or delivered. */
  get closed(): boolean {
    return this.#closed || this.#ended;
  }

  /** The next message is the first sealed one, and must fit a plain frame. */
  get opening(): boolean {
    return this.#opening;
  }

  /** Largest share of the frame and byte limits used in either direction, 0 to 1. */
  get usedShare(): number {
    return Math.max(usedShareOf(this.#sealer), usedShareOf(this.#opener));
  }

  /**
   * Sends what was encoded into `writer` since `mark`. Throws `frame_too_large`, with nothing sent, when it does not fit a frame.
   */
  commit(mark: number): void {
    if (this.closed) {
      this.writer.rollback(mark);
      throw new AllianceError('connection_lost');
    }
    const messageBytes = this.writer.length - mark;
    const limitBytes = this.#limitBytes();
    if (messageBytes > limitBytes) {
      this.writer.rollback(mark);
      throw new AllianceError('frame_too_large', { details: `${messageBytes} bytes, the limit is ${limitBytes}.` });
    }
    // The first sealed frame holds one message, so that it stays as small as the peer wants it.
    if (this.writer.length > wireLimits.batchBytes || this.#opening) this.#flushSplit(mark);
    else this.#flushSoon();
  }

  /** Sends what was encoded so far, and calls `done` once: when it has left this process, or the link has closed. */
  afterSending(done: () => void): void {
    this.#flush();
    if (this.#closed || this.#stream.writableLength === 0) {
      done();
      return;
    }
    this.#sending.add(done);
    // Writes are told of in their order.
    this.#stream.write(nothing, () => this.#onSent(done));
  }

  #onSent(done: () => void): void {
    if (this.#sending.delete(done)) done();
  }

  /**
   * From here on everything is sealed. What was encoded before leaves plain, first. `proof` says whether the peer has shown that it
   * holds the keys, as a responder does by its mac; if not, its first sealed frame will, and must be as small as a plain one.
   */
  secure(keys: ChannelKeys, proof: 'given' | 'awaited'): void {
    if (this.#sealer) throw new TypeError('The link is sealed already.');
    this.#flush();
    this.#sealer = new FrameSealer(keys.sendKey, keys.sendIv);
    this.#opener = new FrameOpener(keys.receiveKey, keys.receiveIv);
    if (proof === 'awaited') return;
    this.#opening = true;
    this.#trust();
  }

  /** The peer holds the keys: it may have what a partner may. */
  #trust(): void {
    this.#proven = true;
    this.#decoder.maxBytes = wireLimits.sealedFrameBytes;
  }

  /** Of a message that is to be sent now, with its length. */
  #limitBytes(): number {
    if (this.#opening) return wireLimits.plainFrameBytes - sealOverheadBytes;
    return this.#sealer ? wireLimits.sealedFrameBytes - sealOverheadBytes : wireLimits.plainFrameBytes + 4;
  }

  pause(): void {
    this.#hold('owner');
  }

  resume(): void {
    this.#release('owner');
  }

  /** Ends the connection at once; output that was not flushed is lost. */
  close(error?: AllianceError): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#drainTimer);
    this.#sealer?.drop();
    this.#opener?.drop();
    this.#inbox = undefined;
    this.#stream.destroy();
    for (const done of [...this.#sending]) this.#onSent(done);
    this.#options.onClose(error);
  }

  /** Sends what is encoded, then ends; the peer has `drainTimeoutMs` to take it. What it still sends is dropped. */
  end(): void {
    if (this.closed) return;
    this.#flush();
    if (this.#closed) return;
    this.#ended = true;
    this.#inbox = undefined;
    this.#stream.resume();
    this.#stream.end(() => this.#linger());
    this.#startDrainTimer();
  }

  /** Closing over bytes left unread makes the kernel reset the connection, and our last answer is lost with it. */
  #linger(): void {
    clearTimeout(this.#drainTimer);
    if (this.#stream.readableEnded) this.close();
    else this.#drainTimer = setTimeout(() => this.close(), wireLimits.lingerMs).unref();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.closed) return;
    this.#options.onBytes?.(chunk.length);
    this.#guard(() => {
      this.#decoder.push(chunk, this.#onFrame);
    });
  };

  readonly #onFrame = (body: Buffer): boolean => {
    if (this.closed) return false;
    if (this.#opener) {
      if (body[0] !== sealedType) throw new AllianceError('wire_malformed', { details: 'A plain frame after attach.' });
      this.#inbox = this.#opener.open(body);
      returnBuffer(body);
      this.#inboxOffset = 0;
      if (!this.#confirmed) {
        this.#confirmed = true;
        this.#trust();
        this.#options.onConfirmed?.();
      }
      this.#deliverInbox();
    } else {
      if (body[0] !== protocolId) throw new AllianceError('wire_malformed', { details: 'Not a compact message.' });
      this.#deliver(body, false);
    }
    return this.#paused.size === 0 && !this.closed;
  };

  /** Delivers the messages of the opened frame, as far as nobody pauses. */
  #deliverInbox(): void {
    while (this.#inbox && this.#paused.size === 0) {
      const inbox = this.#inbox;
      const offset = this.#inboxOffset;
      if (offset === inbox.length) {
        this.#inbox = undefined;
        return;
      }
      const start = offset + 4;
      const end = start <= inbox.length ? start + inbox.readUInt32BE(offset) : Number.POSITIVE_INFINITY;
      if (end > inbox.length || end === start)
        throw new AllianceError('wire_malformed', { details: 'A sealed frame with a broken message length.' });
      this.#inboxOffset = end;
      this.#deliver(inbox.subarray(start, end), true);
    }
  }

  /** Answers that are ready at once do not stop a peer that sends thousands of calls in one go; other connections have their turn too. */
  #deliver(message: Buffer, sealed: boolean): void {
    if (++this.#delivered === wireLimits.messagesPerTurn) {
      this.#hold('turn');
      setImmediate(this.#onNextTurn);
    }
    this.#options.onMessage(message, sealed);
  }

  readonly #onNextTurn = (): void => {
    this.#delivered = 0;
    this.#release('turn');
  };

  /** Runs what reads the peer's bytes; whatever it throws ends the connection. */
  #guard(read: () => void): void {
    if (this.closed) return;
    this.#pumping = true;
    try {
      read();
    } catch (thrown) {
      this.close(toAllianceError(thrown));
    } finally {
      this.#pumping = false;
    }
  }

  #hold(reason: PauseReason): void {
    if (this.closed) return;
    if (this.#paused.size === 0) this.#stream.pause();
    this.#paused.add(reason);
  }

  #release(reason: PauseReason): void {
    if (!this.#paused.delete(reason) || this.#paused.size > 0 || this.closed) return;
    // A release from within delivery is seen by the loop that delivers; only later ones have to take it up again.
    if (!this.#pumping) {
      this.#guard(() => {
        this.#deliverInbox();
        if (this.#paused.size === 0) this.#decoder.resume(this.#onFrame);
      });
    }
    if (this.#paused.size === 0 && !this.closed) this.#stream.resume();
  }

  #flushSoon(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(this.#onImmediate);
  }

  readonly #onImmediate = (): void => {
    this.#flushScheduled = false;
    this.#delivered = 0;
    this.#flush();
  };

  #flush(): void {
    if (this.#closed || this.writer.length === 0) return;
    this.#send(this.writer.take());
  }

  /** Keeps a large message apart from the batch before it, so that neither outgrows a frame. */
  #flushSplit(mark: number): void {
    const bytes = this.writer.take();
    if (mark > 0) this.#send(bytes.subarray(0, mark));
    if (!this.#closed) this.#send(bytes.subarray(mark));
    if (this.#sealer) returnBuffer(bytes);
  }

  #send(bytes: Buffer): void {
    let sealedBytes = bytes;
    if (this.#sealer) {
      try {
        sealedBytes = this.#sealer.seal(bytes);
      } catch (thrown) {
        this.close(toAllianceError(thrown));
        return;
      }
    }
    this.#opening = false;
    this.#options.onSent?.(sealedBytes.length);
    const isLarge = sealedBytes.length >= wireLimits.pooledFromBytes;
    const written = isLarge
      ? this.#stream.write(sealedBytes, (failure) => failure || returnBuffer(sealedBytes))
      : this.#stream.write(sealedBytes);
    if (!written && this.#stream.writableLength > this.#unsentBytes()) {
      this.#hold('output');
      this.#startDrainTimer();
    }
  }

  #unsentBytes(): number {
    return this.#proven ? wireLimits.unsentBytes : wireLimits.plainUnsentBytes;
  }

  readonly #onDrain = (): void => {
    clearTimeout(this.#drainTimer);
    this.#drainTimer = undefined;
    this.#release('output');
  };

  #startDrainTimer(): void {
    if (this.#drainTimer || this.#closed) return;
    this.#drainTimer = setTimeout(
      () => this.close(new AllianceError('deadline_exceeded', { details: 'The peer does not read.' })),
      this.#proven ? wireLimits.drainTimeoutMs : wireLimits.plainDrainTimeoutMs,
    );
    this.#drainTimer.unref();
  }
}
