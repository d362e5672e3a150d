/** A peer that speaks the wire by hand, so that it can also misspeak it. */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ChannelKeys } from '../../src/channel/attach.ts';
import { FrameOpener, FrameSealer } from '../../src/crypto/frames.ts';
import { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { FrameDecoder } from '../../src/wire/frames.ts';
import { encodeCall, readMessage, readOutcome } from '../../src/wire/messages.ts';
import type { Argument, MethodName, Result } from '../../src/wire/methods.ts';
import { PingRequest } from '../../src/wire/types.ts';

const noAnswerMs = 8000;

/** One framed call, length included. */
export function callBytes<M extends MethodName>(method: M, argument: Argument<M>, seqid = 1): Buffer {
  const writer = new CompactWriter();
  encodeCall(writer, seqid, method, argument);
  return Buffer.from(writer.take());
}

export const pingBytes = (seqid = 1): Buffer =>
  callBytes('ping', new PingRequest({ cloud_id: 'anyone', request_data: 'ping' }), seqid);

/** One framed call of a method that is none. */
export function unknownCallBytes(name: string, seqid = 1): Buffer {
  const body = Buffer.concat([Buffer.from([0x82, 0x21, seqid, name.length]), Buffer.from(name), Buffer.from([0])]);
  return Buffer.concat([lengthOf(body.length), body]);
}

/** A frame's header alone. */
export function lengthOf(sizeBytes: number): Buffer {
  const header = Buffer.alloc(4);
  header.writeInt32BE(sizeBytes | 0);
  return header;
}

export class RawPeer {
  readonly socket: Socket;
  /** Below TLS; the same where there is none. */
  readonly #transport: Socket;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>;
  /** Bodies of the frames that came, opened where the connection is sealed. */
  readonly #frames: Buffer[] = [];
  readonly #waiting: ((frame: Buffer | undefined) => void)[] = [];
  readonly #decoder = new FrameDecoder({ maxBytes: 16 * 1024 * 1024 });
  #sealer: FrameSealer | undefined;
  #opener: FrameOpener | undefined;
  #ended = false;
  #seqid = 0;
  receivedBytes = 0;

  private constructor(socket: Socket, transport: Socket = socket) {
    this.socket = socket;
    this.#transport = transport;
    transport.on('error', () => undefined);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length;
      this.#decoder.push(chunk, (body) => this.#arrived(body));
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#ended = true;
        for (const wake of this.#waiting.splice(0)) wake(undefined);
        resolve();
      });
    });
  }

  static async tcp(port: number, localAddress = '127.0.0.1'): Promise<RawPeer> {
    const socket = connectTcp({ port, host: '127.0.0.1', localAddress, noDelay: true });
    const peer = new RawPeer(socket);
    await once(socket, 'connect');
    return peer;
  }

  static async tls(port: number): Promise<RawPeer> {
    const transport = connectTcp({ port, host: '127.0.0.1' });
    const socket = connectTls({ socket: transport, rejectUnauthorized: false });
    const peer = new RawPeer(socket, transport);
    await once(socket, 'secureConnect');
    return peer;
  }

  get isClosed(): boolean {
    return this.#ended;
  }

  #arrived(body: Buffer): void {
    const plain = this.#opener ? this.#opener.open(body) : body;
    for (const frame of this.#opener ? messagesIn(plain) : [plain]) {
      const wake = this.#waiting.shift();
      if (wake) wake(Buffer.from(frame));
      else this.#frames.push(Buffer.from(frame));
    }
  }

  /** From here on what comes is opened, and `sendSealed` works. */
  secure(keys: ChannelKeys): void {
    this.#sealer = new FrameSealer(keys.sendKey, keys.sendIv);
    this.#opener = new FrameOpener(keys.receiveKey, keys.receiveIv);
  }

  send(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  /** Framed messages, sealed into one frame. Returns the frame's bytes, which are sent unless `hold`. */
  sendSealed(messages: Buffer, { hold = false } = {}): Buffer {
    const frame = this.#sealer!.seal(messages);
    if (!hold) this.send(frame);
    return frame;
  }

  /** The next message; undefined when the connection ends first. */
  async next(): Promise<Buffer | undefined> {
    const frame = this.#frames.shift();
    if (frame || this.#ended) return frame;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Buffer | undefined>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`Neither answer nor end within ${noAnswerMs} ms.`)), noAnswerMs);
        this.#waiting.push(resolve);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls and waits for the next message, whatever its seqid; throws the peer's error, or one that says it hung up. */
  async call<M extends MethodName>(method: M, argument: Argument<M>): Promise<Result<M>> {
    const bytes = callBytes(method, argument, ++this.#seqid);
    if (this.#sealer) this.sendSealed(bytes);
    else this.send(bytes);
    const message = await this.next();
    if (!message) throw new Error('hung up');
    const reader = new CompactReader();
    reader.reset(message);
    readMessage(reader);
    return readOutcome(reader, method);
  }

  ping() {
    return this.call('ping', new PingRequest({ cloud_id: 'anyone', request_data: 'ping' }));
  }

  /** Ends with a reset instead of a proper end. */
  reset(): void {
    this.#transport.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }
}

function messagesIn(plaintext: Buffer): Buffer[] {
  const found: Buffer[] = [];
  new FrameDecoder({ maxBytes: plaintext.length }).push(plaintext, (body) => {
    found.push(body);
  });
  return found;
}
