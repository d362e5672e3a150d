/** One connection to a partner's broker: many calls in flight, each of which settles, whatever becomes of the connection. */

import { startAttach } from '../channel/attach.ts';
import type { AttachContext } from '../channel/keys.ts';
import { Link } from '../channel/link.ts';
import { AllianceError } from '../core/errors.ts';
import { clientLimits, wireLimits } from '../core/limits.ts';
import { CompactReader } from '../wire/compact.ts';
import { encodeCall, MessageType, readMessage, readOutcome } from '../wire/messages.ts';
import { type Contract, type MethodName, methodFacts } from '../wire/methods.ts';
import { AttachRequest, PingRequest } from '../wire/types.ts';
import type { Dialled } from './dial.ts';

interface Pending {
  readonly method: MethodName;
  readonly deadline: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: AllianceError) => void;
}

export interface CallOptions {
  /** Until the answer must be there; default clientLimits.callTimeoutMs. */
  readonly timeoutMs?: number | undefined;
}

export class ClientConnection {
  readonly dialled: Dialled;
  readonly #link: Link;
  readonly #reader = new CompactReader();
  readonly #pending = new Map<number, Pending>();
  /** Seqids of calls that ran into their deadline: an answer may still come. */
  readonly #givenUp = new Set<number>();
  readonly #closeListeners: ((error: AllianceError | undefined) => void)[] = [];
  #seqid = 0;
  #over = false;
  #closedBy: AllianceError | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #closing = false;
  #nextDeadline = Number.POSITIVE_INFINITY;

  constructor(dialled: Dialled) {
    this.dialled = dialled;
    this.#link = new Link({
      stream: dialled.socket,
      reads: dialled.reads,
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => this.#onClose(error),
    });
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  get closed(): boolean {
    return this.#link.closed;
  }

  /** Largest share of the channel's frame and byte limits that is used up. */
  get usedShare(): number {
    return this.#link.usedShare;
  }

  /** Calls back at once when the end was before. */
  onClose(listener: (error: AllianceError | undefined) => void): void {
    if (this.#over) listener(this.#closedBy);
    else this.#closeListeners.push(listener);
  }

  /** A oneway method is done as soon as it is written. Rejects with the peer's error (`remote`), `deadline_exceeded`, `connection_lost`, or what breaking the protocol amounts to. */
  call<M extends MethodName>(
    method: M,
    argument: Contract[M]['args'],
    options: CallOptions = {},
  ): Promise<Contract[M]['result']> {
    if (methodFacts(method).oneway) return this.#tell(method, argument);
    return new Promise((resolve, reject) => {
      const { timeoutMs = clientLimits.callTimeoutMs } = options;
      if (this.#link.closed) return reject(this.#lostError());
      if (this.#pending.size >= clientLimits.inFlight)
        return reject(new AllianceError('overloaded', { details: 'Too many calls wait for the partner.' }));
      const seqid = this.#nextSeqid();
      const mark = this.#link.writer.mark();
      const deadline = performance.now() + timeoutMs;
      // Before the bytes leave: sending them may end the connection, and that settles whatever is pending.
      this.#pending.set(seqid, { method, deadline, resolve, reject });
      try {
        encodeCall(this.#link.writer, seqid, method, argument);
        if (this.#link.opening) this.#openSmall(mark, seqid, method, argument);
        this.#link.commit(mark);
      } catch (error) {
        this.#pending.delete(seqid);
        return reject(error);
      }
      if (deadline < this.#nextDeadline) this.#armDeadline(deadline);
    });
  }

  async #tell<M extends MethodName>(method: M, argument: Contract[M]['args']): Promise<Contract[M]['result']> {
    if (this.#link.closed) throw this.#lostError();
    const mark = this.#link.writer.mark();
    encodeCall(this.#link.writer, this.#nextSeqid(), method, argument);
    this.#link.commit(mark);
    return undefined as Contract[M]['result'];
  }

  /** Binds the connection to a session; afterwards every frame is sealed. `session_invalid` when the peer refuses or proves nothing. */
  async attach(secret: Buffer, context: AttachContext, options: CallOptions = {}): Promise<void> {
    const { request, finish } = startAttach(secret, context);
    try {
      const response = await this.call('attach', new AttachRequest({ ...request }), options);
      // What came behind the answer, in the same piece, may have ended the connection before this line is reached.
      if (this.#link.closed) throw this.#lostError();
      const keys = finish(response);
      this.#link.secure(keys, 'given');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#link.close();
  }

  /** Closes as soon as no call waits for its answer. */
  closeWhenIdle(): void {
    this.#closing = true;
    if (this.#pending.size === 0) this.#link.end();
  }

  /** Before a call that is too large to be the first over a channel goes a ping, whose answer nobody needs. */
  #openSmall<M extends MethodName>(mark: number, seqid: number, method: M, argument: Contract[M]['args']): void {
    const { writer } = this.#link;
    if (writer.length - mark <= wireLimits.plainFrameBytes / 2) return;
    writer.rollback(mark);
    this.call('ping', new PingRequest({ cloud_id: '', request_data: '' })).catch(() => undefined);
    encodeCall(writer, seqid, method, argument);
  }

  /** Seqids are positive i32; one that still waits for its answer is not given out again. */
  #nextSeqid(): number {
    do {
      this.#seqid = (this.#seqid % 0x7fff_ffff) + 1;
    } while (this.#pending.has(this.#seqid));
    return this.#seqid;
  }

  #onMessage(message: Buffer): void {
    const reader = this.#reader;
    reader.reset(message);
    const { type, name, seqid } = readMessage(reader);
    if (type !== MessageType.reply && type !== MessageType.exception)
      throw new AllianceError('wire_malformed', { details: 'Not an answer.' });
    const pending = this.#pending.get(seqid);
    // A call that was given up may still be answered; an answer to another method than was asked may not.
    if (!pending) {
      if (this.#givenUp.delete(seqid)) return;
      throw new AllianceError('wire_malformed', { details: 'An answer that nobody asked for.' });
    }
    if (pending.method !== name) throw new AllianceError('wire_malformed', { details: 'An answer to another method.' });
    let value: unknown;
    try {
      value = readOutcome(reader, pending.method);
    } catch (thrown) {
      if (!(thrown instanceof AllianceError && thrown.remote)) throw thrown;
      this.#settled(seqid);
      pending.reject(thrown);
      return;
    }
    this.#settled(seqid);
    pending.resolve(value as never);
  }

  #settled(seqid: number): void {
    this.#pending.delete(seqid);
    if (this.#closing && this.#pending.size === 0) this.#link.end();
  }

  #giveUp(seqid: number): void {
    const pending = this.#pending.get(seqid);
    if (!pending) return;
    this.#settled(seqid);
    this.#givenUp.add(seqid);
    pending.reject(new AllianceError('deadline_exceeded', { details: `${pending.method}: no answer in time.` }));
    // A peer that leaves this many calls unanswered is not worth the memory.
    if (this.#givenUp.size > clientLimits.inFlight) this.#link.close(new AllianceError('connection_lost'));
  }

  #armDeadline(deadline: number): void {
    clearTimeout(this.#deadlineTimer);
    this.#nextDeadline = deadline;
    this.#deadlineTimer = setTimeout(() => this.#expire(), Math.max(1, deadline - performance.now()));
  }

  #expire(): void {
    const now = performance.now();
    this.#nextDeadline = Number.POSITIVE_INFINITY;
    let next = Number.POSITIVE_INFINITY;
    for (const [seqid, { deadline }] of this.#pending) {
      if (deadline <= now) this.#giveUp(seqid);
      else if (deadline < next) next = deadline;
    }
    if (next !== Number.POSITIVE_INFINITY) this.#armDeadline(next);
  }

  #lostError(): AllianceError {
    const cause = this.#closedBy;
    return new AllianceError('connection_lost', {
      cause,
      ...(cause?.details && { details: cause.details }),
    });
  }

  #onClose(error: AllianceError | undefined): void {
    this.#over = true;
    this.#closedBy = error;
    clearTimeout(this.#deadlineTimer);
    if (this.#pending.size > 0) {
      const lost = this.#lostError();
      for (const pending of this.#pending.values()) pending.reject(lost);
      this.#pending.clear();
    }
    for (const listener of this.#closeListeners) listener(error);
  }
}
