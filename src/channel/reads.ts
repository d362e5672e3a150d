/**
 * Reading into one buffer for all sockets, where Node would make a new one for each 64 KiB: half of what reading costs. Only sockets that
 * dial can be told so.
 */
import { wireLimits } from '../core/limits.ts';

/** Called with what was read; the bytes are only valid during the call. */
type OnRead = (chunk: Buffer) => void;

const shared = Buffer.allocUnsafeSlow(wireLimits.readBytes);

export class Reads {
  /** The option of that name for `net.connect` and `tls.connect`. */
  readonly onread = {
    buffer: shared,
    callback: (sizeBytes: number, buffer: Uint8Array): boolean => this.#take(buffer, sizeBytes),
  };
  #onRead: OnRead | undefined;
  /** What came before anybody wanted it: one piece, for then the socket pauses. */
  readonly #early: Buffer[] = [];

  /** From here on everything goes there, first what came already. The socket may have paused meanwhile. */
  begin(onRead: OnRead): void {
    this.#onRead = onRead;
    for (const chunk of this.#early.splice(0)) onRead(chunk);
  }

  /** False pauses the socket. */
  #take(buffer: Uint8Array, sizeBytes: number): boolean {
    const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, sizeBytes);
    if (this.#onRead) this.#onRead(chunk);
    else this.#early.push(Buffer.from(chunk));
    return this.#onRead !== undefined;
  }
}
