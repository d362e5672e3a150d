/**
 * One connection of a peer: plain at first, for the bootstrap calls and a short time; a channel after `attach`. Calls run side by side and
 * are answered as they finish.
 */
import type { Socket } from 'node:net';
import type { ChannelKeys } from '../channel/attach.ts';
import type { Next } from '../channel/interceptor.ts';
import { Link } from '../channel/link.ts';
import { addressKey } from '../core/addressKey.ts';
import { partnerConfig } from '../core/config.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import type { Partner } from '../model/partner.ts';
import { CompactReader } from '../wire/compact.ts';
import {
  encodeError,
  encodeResult,
  encodeUnknownMethod,
  type MessageHeader,
  MessageType,
  readArgument,
  readMessage,
} from '../wire/messages.ts';
import { type Contract, type MethodName, methodFacts, methodNamed } from '../wire/methods.ts';
import type { InboundCall, InboundChannel, Peer, ServerContext } from './context.ts';
import { ReceivedCall } from './inboundCall.ts';
import { chargeUnknown, noteRefusal } from './interceptors.ts';
import { Pace } from './pace.ts';

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly context: ServerContext;
  readonly run: Next<InboundCall>;
  readonly tls: boolean;
  readonly exporter: Buffer | null;
  readonly nextRequestId: () => string;
  readonly channelsOf: (uid: PartnerUid) => number;
  readonly onClose: (connection: ServerConnection) => void;
}

const isLoopback = (address: string): boolean =>
  address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');

export class ServerConnection implements Peer {
  readonly remoteAddress: string;
  readonly addressKey: string;
  readonly loopback: boolean;
  readonly tls: boolean;
  readonly exporter: Buffer | null;
  pairing: Peer['pairing'];
  readonly #options: ConnectionOptions;
  readonly #link: Link;
  readonly #reader = new CompactReader();
  readonly #openedAt = performance.now();
  #activeAt = this.#openedAt;
  /** When the bytes came that are delivered now: one look at the clock for all the messages in them. */
  #receivedAt = this.#openedAt;
  #inFlight = 0;
  #handshakeCalls = 0;
  /** A handshake call is under way: nothing is read, so that nothing overtakes the change of state that it brings. */
  #handshaking = false;
  #refusedCalls = 0;
  #channel: InboundChannel | undefined;
  #pendingKeys: ChannelKeys | undefined;
  #attachedAt = 0;
  #ending = false;
  #draining = false;
  readonly #pace: Pace;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.tls = options.tls;
    this.exporter = options.exporter;
    this.remoteAddress = options.socket.remoteAddress ?? 'unknown';
    this.addressKey = addressKey(this.remoteAddress);
    this.loopback = isLoopback(options.socket.localAddress ?? '');
    this.#link = new Link({
      stream: options.socket,
      onMessage: (message, sealed) => this.#onMessage(message, sealed),
      onClose: (error) => this.#onClose(error),
      onConfirmed: () => this.#onConfirmed(),
      onBytes: (sizeBytes) => {
        this.#receivedAt = performance.now();
        if (this.#channel && this.#link.confirmed) this.#pace.received(this.#channel.partner, sizeBytes);
      },
      onSent: (sizeBytes) => {
        if (this.#channel && this.#link.confirmed) this.#pace.sent(this.#channel.partner, sizeBytes);
      },
    });
    this.#pace = new Pace({
      context: options.context,
      pause: () => this.#link.pause(),
      resume: () => this.#readOn(),
    });
  }

  get channel(): InboundChannel | undefined {
    return this.#channel;
  }

  /** Whether the partner has proved to hold the channel's keys; a replayed attach never does. */
  get confirmed(): boolean {
    return this.#link.confirmed;
  }

  channelsOf(uid: PartnerUid): number {
    return this.#options.channelsOf(uid);
  }

  becomeChannel(channel: InboundChannel, keys: ChannelKeys): void {
    if (this.#channel) throw new TypeError('The connection is a channel already.');
    this.#channel = channel;
    this.#pendingKeys = keys;
  }

  holdOff(retryAfterMs: number): void {
    const { refusedCallsPerConnection, refusedPauseMinMs, refusedPauseMaxMs } = this.#options.context.limits;
    if (!this.#channel && ++this.#refusedCalls > refusedCallsPerConnection)
      this.close(new AllianceError('rate_limited', { details: 'refused_calls' }));
    else this.#pace.hold(Math.min(refusedPauseMaxMs, Math.max(refusedPauseMinMs, retryAfterMs)));
  }

  endAfterReply(): void {
    this.#ending = true;
  }

  close(error?: AllianceError): void {
    this.#link.close(error);
  }

  /** Takes no more calls, and ends when those in flight are answered. */
  drain(): void {
    this.#draining = true;
    if (this.#inFlight === 0) this.#link.end();
  }

  /** Closes the connection if its time is over. Called a few times a second; `now` is the clock's, `mono` performance.now(). */
  sweep(now: number, mono: number): void {
    if (this.#inFlight > 0 && !this.#channel) return;
    const over = this.#channel ? this.#channelOver(this.#channel, now, mono) : this.#plainOver(mono);
    if (!over) return;
    this.#options.context.telemetry.refusal(over);
    this.close(new AllianceError('connection_lost', { details: over }));
  }

  #plainOver(mono: number): string | undefined {
    const { plainPingTotalMs, plainTotalMs, plainIdleMs } = this.#options.context.limits;
    const onlyPings = this.#handshakeCalls === 0 && this.#activeAt > this.#openedAt;
    if (mono - this.#openedAt > (onlyPings ? plainPingTotalMs : plainTotalMs)) return 'plain_age';
    return mono - this.#activeAt > plainIdleMs ? 'plain_idle' : undefined;
  }

  #channelOver(channel: InboundChannel, now: number, mono: number): string | undefined {
    const { confirmTimeoutMs, channelIdleMs } = this.#options.context.limits;
    if (!this.#link.confirmed) return mono - this.#attachedAt > confirmTimeoutMs ? 'unconfirmed' : undefined;
    if (now >= channel.endsAt) return 'session_end';
    const idle = this.#inFlight === 0 && mono - this.#activeAt > channelIdleMs;
    return idle ? 'channel_idle' : undefined;
  }

  #onMessage(message: Buffer, sealed: boolean): void {
    const reader = this.#reader;
    reader.reset(message);
    const header = readMessage(reader);
    const isOneway = header.type === MessageType.oneway;
    if (header.type !== MessageType.call && !isOneway)
      throw new AllianceError('wire_malformed', { details: 'Not a call.' });
    this.#activeAt = this.#receivedAt;
    const { name } = header;
    const method = methodNamed(name);
    if (method === undefined) {
      this.#onUnknown(header, sealed);
      return;
    }
    if (isOneway !== (methodFacts(method).oneway === true))
      throw new AllianceError('wire_malformed', { details: `${method} came as another kind of message than it is.` });
    this.#begin(method, header, readArgument(reader, method));
  }

  #onUnknown({ type, name, seqid }: MessageHeader, sealed: boolean): void {
    const { context } = this.#options;
    context.telemetry.refusal('unknown_method');
    // Whoever sends a oneway message expects no answer, not even this one.
    if (type !== MessageType.oneway) this.#write((writer) => encodeUnknownMethod(writer, seqid, name));
    const partner = this.#partnerNow();
    const waitMs = partner ? chargeUnknown(context, partner) : 0;
    if (waitMs > 0) this.holdOff(waitMs);
    if (!sealed) this.#countHandshakeCall();
  }

  #begin<M extends MethodName>(method: M, { seqid }: MessageHeader, argument: Contract[M]['args']): void {
    const bootstrap = !this.#link.sealed && method !== 'ping';
    if (bootstrap && !this.#countHandshakeCall()) return;
    const { config } = this.#options.context;
    const partner = this.#partnerNow();
    const call = new ReceivedCall(
      { method, argument, startedAt: this.#activeAt, peer: this, partner, channel: this.#channel },
      this.#options.nextRequestId,
    );
    this.#inFlight++;
    if (bootstrap) this.#handshaking = true;
    if (bootstrap || this.#inFlight >= config().limits.inFlightPerConnection) this.#link.pause();
    this.#run(seqid, call);
  }

  #run(seqid: number, call: ReceivedCall): void {
    let value: unknown;
    try {
      if (this.#draining) throw new AllianceError('shutting_down', { retryAfterMs: 1000 });
      value = this.#options.run(call);
    } catch (thrown) {
      this.#answer(seqid, call, undefined, toAllianceError(thrown));
      return;
    }
    if (value instanceof Promise) void this.#answerLater(seqid, call, value);
    else this.#answer(seqid, call, value);
  }

  /** Little but the waiting, because everything a function holds across an `await` is allocated for each call. */
  async #answerLater(seqid: number, call: ReceivedCall, answer: Promise<unknown>): Promise<void> {
    let value: unknown;
    let failure: AllianceError | undefined;
    try {
      value = await answer;
    } catch (thrown) {
      failure = toAllianceError(thrown);
    }
    this.#answer(seqid, call, value, failure);
  }

  #answer(seqid: number, call: ReceivedCall, value: unknown, failure?: AllianceError): void {
    const { method, whenAnswered } = call;
    this.#inFlight--;
    if (method !== 'ping') this.#handshaking = false;
    if (this.#link.closed) {
      whenAnswered?.();
      return;
    }
    // Whatever was wrong, and whoever found it: an attach that failed is the end.
    if (failure && method === 'attach' && !this.#link.sealed) this.#ending = true;
    if (methodFacts(method).oneway) {
      // Nobody waits: not for a value, and not for a failure.
    } else if (failure) this.#answerError(seqid, call, failure);
    else
      try {
        const { writer } = this.#link;
        const mark = writer.mark();
        encodeResult(writer, seqid, method, value as never);
        this.#link.commit(mark);
      } catch (thrown) {
        this.#answerError(seqid, call, toAllianceError(thrown));
      }
    if (whenAnswered) this.#link.afterSending(whenAnswered);
    this.#afterReply();
  }

  #answerError(seqid: number, call: InboundCall, error: AllianceError): void {
    // Before attach nobody is told an id: it would only help to probe.
    const id = this.#link.sealed ? call.requestId : undefined;
    this.#write((writer) => encodeError(writer, seqid, call.method, error, id));
  }

  #afterReply(): void {
    const keys = this.#pendingKeys;
    if (keys && !this.#handshaking) {
      this.#pendingKeys = undefined;
      this.#attachedAt = performance.now();
      this.#link.secure(keys, 'awaited');
    }
    if (this.#ending || (this.#draining && this.#inFlight === 0)) this.#link.end();
    else this.#readOn();
  }

  /** Reads on, unless something still speaks against it. */
  #readOn(): void {
    if (this.#handshaking || this.#pace.held) return;
    if (this.#inFlight < this.#options.context.config().limits.inFlightPerConnection) this.#link.resume();
  }

  #write(encode: (writer: Link['writer']) => void): void {
    const mark = this.#link.writer.mark();
    encode(this.#link.writer);
    this.#link.commit(mark);
  }

  /** False, with the connection closed, when a plain connection has had its share of handshake calls. */
  #countHandshakeCall(): boolean {
    this.#handshakeCalls++;
    if (this.#handshakeCalls <= this.#options.context.limits.handshakeCallsPerConnection) return true;
    this.close(new AllianceError('rate_limited', { details: 'plain_calls' }));
    return false;
  }

  /** The partner as the last look at the trust epoch found it, not as it was at attach. */
  #partnerNow(): Partner | undefined {
    const { view } = this.#options.context;
    if (!this.#channel) return undefined;
    const partner = view.partnerByUid(this.#channel.partner.uid);
    if (partner && !view.lost) return partner;
    throw new AllianceError('partner_not_active', { details: 'trust_lost' });
  }

  #onConfirmed(): void {
    const { store, clock, telemetry, log, config } = this.#options.context;
    const { session, partner } = this.#channel!;
    telemetry.channels('in', 1);
    // This one is among them. At attach only confirmed ones were counted, so many may be confirmed at once.
    if (this.channelsOf(partner.uid) > partnerConfig(config(), partner.cloudId).channels)
      throw new AllianceError('overloaded', { details: 'The partner has too many channels.' });
    const now = clock.now();
    Promise.all([store.sessions.confirm(session.sid, now, 'responder'), store.partners.touch(partner.uid, now)]).catch(
      (error: unknown) => log.warn({ err: error, partner: partner.cloudId }, 'A confirmed channel was not noted.'),
    );
  }

  #onClose(error: AllianceError | undefined): void {
    const { context } = this.#options;
    const partner = this.#channel?.partner;
    this.#pace.end(partner);
    if (partner && this.#link.confirmed) context.telemetry.channels('in', -1);
    if (error && error.errorName !== 'connection_lost') {
      context.telemetry.refusal(error.errorName);
      noteRefusal(context, { peer: this, cloudId: partner?.cloudId, error }, 'Cut off.');
    }
    this.#options.onClose(this);
  }
}
