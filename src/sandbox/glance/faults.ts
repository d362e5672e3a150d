/** Failures on demand: of requests as a whole, and in the middle of an image's bytes. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * reset: the connection ends by a reset, before anything is done, or within the bytes of an image.
 * lost: the request is carried out, and the connection ends by a reset instead of an answer.
 * status: that status, and nothing is done.
 * hang: never an answer, and nothing is done.
 * slow: the same as without, `delayMs` later; within the bytes of an image, that long a pause.
 * malformed: 200 with a body that is not JSON, and nothing is done.
 * wrong_bytes: one byte of the image's is another one.
 * cut: of an image's bytes only the first; in an answer less than its `content-length` says, in an upload as if there were no more.
 * unranged: an answer to a request for a part is all of it, with status 200.
 * importing: an upload is answered at once, and the image becomes active `delayMs` later.
 * killed: an upload is answered well, and the image is `killed`.
 */
export type FaultKind =
  | 'reset'
  | 'lost'
  | 'status'
  | 'hang'
  | 'slow'
  | 'malformed'
  | 'wrong_bytes'
  | 'cut'
  | 'unranged'
  | 'importing'
  | 'killed';

export interface Fault {
  readonly kind: FaultKind;
  readonly method?: string;
  /** Against the path with its query. */
  readonly path?: RegExp;
  /**
   * How many bytes of the image pass before it, counted from the first one of this request or answer. Absent: `reset` and `slow` come
   * before anything is done, `cut` and `wrong_bytes` at the first byte.
   */
  readonly after?: number;
  /** How many requests it hits; 1 by default. */
  readonly times?: number;
  /** How many that match go by before it; 0 by default. */
  readonly skip?: number;
  /** Of `status`; 500 by default. */
  readonly status?: number;
  /** Text of that answer. */
  readonly message?: string;
  /** Of `status`, in seconds: its header `retry-after`. */
  readonly retryAfterS?: number;
  /** Of `slow` and `importing`; 1000 by default. */
  readonly delayMs?: number;
}

const withinBytes: ReadonlySet<FaultKind> = new Set(['reset', 'slow', 'cut', 'wrong_bytes']);

export class Faults {
  #queue: { readonly fault: Fault; skip: number; left: number }[] = [];
  #hits = 0;
  readonly #closing = new AbortController();

  /** Hits the next requests that match. */
  next(fault: Fault): void {
    this.#queue.push({ fault, skip: fault.skip ?? 0, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#queue = [];
  }

  /** Of `slow`; shorter only where the server is closed. */
  async pause({ delayMs = 1000 }: Fault): Promise<void> {
    await sleep(delayMs, undefined, { ref: false, signal: this.#closing.signal }).catch(() => undefined);
  }

  /** Ends every pause. */
  close(): void {
    this.clear();
    this.#closing.abort();
  }

  /** Bytes as a fault changes them; `act` is what it does where `after` bytes have gone by, and says whether that is the end. */
  async *through(
    bytes: AsyncIterable<Buffer>,
    fault: Fault | undefined,
    act: (kind: FaultKind) => boolean,
  ): AsyncGenerator<Buffer> {
    const after = fault?.after ?? 0;
    let passed = 0;
    let pending = fault !== undefined && withinBytes.has(fault.kind);
    for await (const piece of bytes) {
      const until = after - passed;
      passed += piece.length;
      if (!pending || until >= piece.length) {
        yield piece;
        continue;
      }
      pending = false;
      const rest = Buffer.from(piece.subarray(until));
      if (until > 0) yield piece.subarray(0, until);
      if (fault!.kind === 'slow') await this.pause(fault!);
      else if (fault!.kind === 'wrong_bytes') rest[0] = rest[0]! ^ 0xff;
      else if (act(fault!.kind)) return;
      yield rest;
    }
  }

  /** How many requests were hit so far. */
  get hits(): number {
    return this.#hits;
  }

  /** The first fault that matches this request; it counts as hit. */
  take(method: string, path: string): Fault | undefined {
    const found = this.#queue.find(
      ({ fault }) => (fault.method ?? method) === method && (fault.path?.test(path) ?? true),
    );
    if (!found) return undefined;
    if (found.skip > 0) {
      found.skip -= 1;
      return undefined;
    }
    found.left -= 1;
    if (found.left <= 0) this.#queue = this.#queue.filter((each) => each !== found);
    this.#hits += 1;
    return found.fault;
  }
}
