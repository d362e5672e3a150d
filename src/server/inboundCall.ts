/** A call as it came in. */
import type { MethodName } from '../wire/methods.ts';
import type { InboundCall, InboundChannel, Peer } from './context.ts';

type Facts = Pick<InboundCall, 'method' | 'argument' | 'startedAt' | 'peer' | 'partner' | 'channel'>;

export class ReceivedCall implements InboundCall {
  readonly direction = 'in';
  readonly method: MethodName;
  readonly argument: unknown;
  readonly startedAt: number;
  readonly peer: Peer;
  readonly partner: InboundCall['partner'];
  readonly channel: InboundChannel | undefined;
  readonly #newId: () => string;
  #id: string | undefined;
  /** What is to be called when the answer has left. */
  whenAnswered: (() => void) | undefined;

  constructor({ method, argument, startedAt, peer, partner, channel }: Facts, newId: () => string) {
    this.method = method;
    this.argument = argument;
    this.startedAt = startedAt;
    this.peer = peer;
    this.partner = partner;
    this.channel = channel;
    this.#newId = newId;
  }

  afterAnswer(done: () => void): void {
    this.whenAnswered = done;
  }

  get cloudId() {
    return this.partner?.cloudId;
  }

  /** Made for the first who asks: most calls end well, and nobody does. */
  get requestId(): string {
    this.#id ??= this.#newId();
    return this.#id;
  }
}
