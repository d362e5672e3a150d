/**
 * One connection of a peer: plain at first, for the bootstrap calls and a short time; a channel after `attach`. Calls run side by side and
 * are answered as they finish.
 */
import type { Socket } from 'node:net';
import type { ChannelKeys } from '../channel/attach.ts';
import type { Next } from '../channel/interceptor.ts';
import { Link } from '../channel/link.ts';
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
import { addressKey } from './addressKey.ts';
import type { InboundCall, InboundChannel, Peer, ServerContext } from './context.ts';

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
  #inFlight = 0;
  #handshakeCalls = 0;
  #channel: InboundChannel | undefined;
  #pendingKeys: ChannelKeys | undefined;
  #attachedAt = 0;
  #ending = false;
  #draining = false;
  #throttle: NodeJS.Timeout | undefined;

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
      onBytes: (sizeBytes) => this.#onBytes(sizeBytes),
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
    this.#channel = channel;
    this.#pendingKeys = keys;
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
    this.#activeAt = performance.now();
    const { name } = header;
    const method = methodNamed(name);
    if (method === undefined) {
      this.#options.context.telemetry.refusal('unknown_method');
      // Whoever sends a oneway message expects no answer, not even this one.
      if (!isOneway) this.#write((writer) => encodeUnknownMethod(writer, header.seqid, name));
      if (!sealed) this.#countHandshakeCall();
      return;
    }
    if (isOneway !== (methodFacts(method).oneway === true))
      throw new AllianceError('wire_malformed', { details: `${method} came as another kind of message than it is.` });
    this.#begin(method, header, readArgument(reader, method));
  }

  #begin<M extends MethodName>(method: M, { seqid }: MessageHeader, argument: Contract[M]['args']): void {
    const bootstrap = !this.#link.sealed && method !== 'ping';
    if (bootstrap && !this.#countHandshakeCall()) return;
    const partner = this.#partnerNow();
    const call: InboundCall = {
      direction: 'in',
      method,
      argument,
      cloudId: partner?.cloudId,
      requestId: this.#options.nextRequestId(),
      startedAt: this.#activeAt,
      peer: this,
      partner,
      channel: this.#channel,
    };
    // Handshake calls run one at a time: nothing may overtake the change of state that they bring.
    this.#inFlight++;
    if (bootstrap || this.#inFlight >= this.#options.context.config().limits.inFlightPerConnection) this.#link.pause();
    this.#run(method, seqid, call);
  }

  /** Little but the waiting, because everything a function holds across an `await` is allocated for each call. */
  async #run(method: MethodName, seqid: number, call: InboundCall): Promise<void> {
    let value: unknown;
    let failure: AllianceError | undefined;
    try {
      value = await this.#start(method, call);
    } catch (thrown) {
      failure = toAllianceError(thrown);
    }
    this.#answer(method, seqid, call.requestId, value, failure);
  }

  #start(method: MethodName, call: InboundCall): Promise<unknown> {
    if (this.#draining) throw new AllianceError('shutting_down', { retryAfterMs: 1000 });
    if (this.#link.sealed && methodFacts(method).plain && method !== 'ping')
      throw new AllianceError('bad_request', { details: `${method} does not travel over a channel.` });
    return this.#options.run(call);
  }

  #answer(method: MethodName, seqid: number, requestId: string, value: unknown, failure?: AllianceError): void {
    this.#inFlight--;
    if (this.#link.closed) return;
    if (methodFacts(method).oneway) {
      // Nobody waits: not for a value, and not for a failure.
    } else if (failure) this.#answerError(method, seqid, failure, requestId);
    else
      try {
        const { writer } = this.#link;
        const mark = writer.mark();
        encodeResult(writer, seqid, method, value as never);
        this.#link.commit(mark);
      } catch (thrown) {
        this.#answerError(method, seqid, toAllianceError(thrown), requestId);
      }
    this.#afterReply();
  }

  #answerError(method: MethodName, seqid: number, error: AllianceError, requestId: string): void {
    // Before attach nobody is told an id: it would only help to probe.
    const id = this.#link.sealed ? requestId : undefined;
    this.#write((writer) => encodeError(writer, seqid, method, error, id));
  }

  #afterReply(): void {
    const keys = this.#pendingKeys;
    if (keys) {
      this.#pendingKeys = undefined;
      this.#attachedAt = performance.now();
      this.#link.secure(keys);
    }
    if (this.#ending || (this.#draining && this.#inFlight === 0)) this.#link.end();
    else if (this.#inFlight < this.#options.context.config().limits.inFlightPerConnection && !this.#throttle)
      this.#link.resume();
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

  /** A partner that sends more bytes than it may is read from more slowly. */
  #onBytes(sizeBytes: number): void {
    const channel = this.#channel;
    if (!channel || !this.#link.confirmed) return;
    const { rates, config, clock } = this.#options.context;
    const { bytesPerS } = partnerConfig(config(), channel.partner.cloudId);
    const rate = { perS: bytesPerS, burst: Math.max(1, bytesPerS) };
    const waitMs = rates.charge(`bytes:${channel.partner.uid}`, rate, clock.now(), sizeBytes);
    if (waitMs === 0 || this.#throttle) return;
    this.#link.pause();
    this.#throttle = setTimeout(() => {
      this.#throttle = undefined;
      this.#afterReply();
    }, waitMs);
    this.#throttle.unref();
  }

  #onClose(error: AllianceError | undefined): void {
    clearTimeout(this.#throttle);
    const { telemetry, log } = this.#options.context;
    if (this.#channel && this.#link.confirmed) telemetry.channels('in', -1);
    if (error && error.errorName !== 'connection_lost') {
      telemetry.refusal(error.errorName);
      log.info({ remoteAddress: this.remoteAddress, partner: this.#channel?.partner.cloudId, err: error }, 'Cut off.');
    }
    this.#options.onClose(this);
  }
}
