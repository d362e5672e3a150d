/** All partners that this process calls: one client each, made when first called, closed when trust ends. */
import { type Call, chain, type Interceptor, type Next } from '../channel/interceptor.ts';
import { AllianceError } from '../core/errors.ts';
import { newRequestId, type PartnerUid } from '../core/ids.ts';
import type { Partner } from '../model/partner.ts';
import type { Contract, MethodName } from '../wire/methods.ts';
import type { Channel } from './channel.ts';
import type { CallOptions } from './connection.ts';
import { createDialPolicy, type DialPolicy } from './dialPolicy.ts';
import { admitCalls, observeCalls } from './interceptors.ts';
import { OwnAddresses } from './ownAddresses.ts';
import { PartnerClient } from './partnerClient.ts';
import type { SessionSourceOptions } from './session.ts';

export interface ClientPoolOptions extends SessionSourceOptions {
  /** Hosts, addresses and networks that may be dialled although the dial policy refuses them. */
  readonly allow: readonly string[];
}

/** A call on its way out. */
export interface OutboundCall extends Call {
  readonly direction: 'out';
  readonly partner: Partner;
  readonly options: CallOptions;
}

export class ClientPool {
  readonly #options: ClientPoolOptions;
  readonly #clients = new Map<PartnerUid, PartnerClient>();
  readonly #call: Next<OutboundCall>;
  readonly #own: OwnAddresses;
  #allow: readonly string[];
  #closed = false;

  constructor(options: ClientPoolOptions) {
    this.#options = options;
    this.#allow = options.allow;
    this.#own = new OwnAddresses(options.log);
    const interceptors: readonly Interceptor<OutboundCall>[] = [
      observeCalls(options.telemetry, options.log),
      admitCalls((partner) => options.view.stateOf(options.view.partnerByUid(partner.uid) ?? partner)),
    ];
    this.#call = chain(interceptors, ({ partner, method, argument, options: callOptions }) =>
      this.#clientFor(partner).call(method, argument as Contract[MethodName]['args'], callOptions),
    );
    options.view.onLook((changed) => this.#maintain(changed));
  }

  /** Calls a partner's method; errors as `PartnerClient.call`, and `partner_not_active` when there is no trust to call on. */
  call<M extends MethodName>(
    partner: Partner,
    method: M,
    argument: Contract[M]['args'],
    options: CallOptions = {},
  ): Promise<Contract[M]['result']> {
    const call: OutboundCall = {
      direction: 'out',
      method,
      argument,
      cloudId: partner.cloudId,
      partner,
      options,
      requestId: newRequestId(),
      startedAt: performance.now(),
    };
    return this.#call(call) as Promise<Contract[M]['result']>;
  }

  /** A channel to the partner; with `renew`, on a new session. */
  async open(partner: Partner, renew = false): Promise<Channel> {
    return this.#clientFor(partner).open(renew);
  }

  /** Channels now open, by partner. */
  channels(): ReadonlyMap<PartnerUid, readonly Channel[]> {
    return new Map([...this.#clients].map(([uid, client]) => [uid, client.channels]));
  }

  /** What `dial.allow` says now; holds for the next connection. */
  set allow(allow: readonly string[]) {
    this.#allow = allow;
  }

  policy(): DialPolicy {
    return createDialPolicy({ allow: this.#allow, ownAddresses: () => this.#own.read() });
  }

  /** For good: whoever calls from then on hears `shutting_down`, and nothing is dialled that nobody would end. */
  close(): void {
    this.#closed = true;
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #clientFor({ uid }: Partner): PartnerClient {
    const known = this.#clients.get(uid);
    if (known) return known;
    if (this.#closed) throw new AllianceError('shutting_down');
    const client = new PartnerClient({
      ...this.#options,
      policy: { check: (host, address) => this.policy().check(host, address) },
      partner: () => this.#callable(uid),
    });
    this.#clients.set(uid, client);
    return client;
  }

  /** The partner as it is now. A pending one may be asked whether it has approved us; that is what `getPairing` is for. */
  #callable(uid: PartnerUid): Partner {
    const { view } = this.#options;
    const partner = view.partnerByUid(uid);
    if (!partner) throw new AllianceError('partner_not_found');
    const state = view.stateOf(partner);
    if (state !== 'active' && !(state === 'pending' && partner.approval === 'partner'))
      throw new AllianceError('partner_not_active', { details: `${partner.cloudId} is ${state}.` });
    return partner;
  }

  #maintain(epochChanged: boolean): void {
    const { view, store, log } = this.#options;
    for (const [uid, client] of this.#clients) {
      client.maintain(view.lost);
      if (view.partnerByUid(uid)) continue;
      // Nobody looks after it from here on, nor after a channel that it is just opening.
      client.close();
      this.#clients.delete(uid);
    }
    if (!epochChanged) return;
    // A session may have been closed by hand in another process.
    for (const [uid, client] of this.#clients) {
      if (client.channels.length === 0) continue;
      store.sessions.list(uid).then(
        (sessions) => {
          const live = new Set<string>(sessions.filter((session) => session.hasSecret).map((session) => session.sid));
          client.dropSessions((sid) => !live.has(sid));
        },
        (error: unknown) => log.warn({ err: error }, 'Sessions could not be read.'),
      );
    }
  }
}
