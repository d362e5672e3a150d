/** A partner that is played by the test: known to a cloud's store, with its own key, over connections of its own making. */
import { type ChannelKeys, noBinding, startAttach } from '../../src/channel/attach.ts';
import { type AgreedSession, type PinnedKey, type PreviousSession, startSession } from '../../src/channel/handshake.ts';
import type { Attempt } from '../../src/channel/tickets.ts';
import { fromTicket, toTicket } from '../../src/client/session.ts';
import type { CloudId } from '../../src/core/ids.ts';
import type { Identity } from '../../src/crypto/identity.ts';
import type { NewPartner, Partner } from '../../src/model/partner.ts';
import { AttachRequest } from '../../src/wire/types.ts';
import type { Cloud } from './cloud.ts';
import { makeIdentity } from './identity.ts';
import { RawPeer } from './rawPeer.ts';

export interface AskOptions {
  readonly attempt?: Attempt;
  readonly previous?: PreviousSession;
  /** Its clock; default the cloud's. */
  readonly now?: number;
}

export const pinOf = ({ fingerprint, algorithm, certificate }: Identity): PinnedKey => ({
  fingerprint,
  algorithm,
  publicKey: certificate.publicKey,
});

export class PartnerPeer {
  readonly cloud: Cloud;
  readonly identity: Identity;
  readonly partner: Partner;

  private constructor(cloud: Cloud, identity: Identity, partner: Partner) {
    this.cloud = cloud;
    this.identity = identity;
    this.partner = partner;
  }

  /** Stored as if it had paired; by default active, both provider and consumer, without channel binding. */
  static async join(cloud: Cloud, cloudId = 'peer', changes: Partial<NewPartner> = {}): Promise<PartnerPeer> {
    const identity = makeIdentity(cloudId);
    const { fingerprint, algorithm, certificateDer, notBefore, notAfter } = identity;
    const { store, view } = cloud.installation;
    const partner = await store.partners.add({
      cloudId: cloudId as CloudId,
      role: 'both',
      state: 'active',
      endpoints: ['tls://127.0.0.1:1'],
      key: { fingerprint, algorithm, certificateDer, notBefore, notAfter },
      binding: 'none',
      acknowledgedSequence: view.current.sequence,
      ...changes,
    });
    await view.refresh();
    return new PartnerPeer(cloud, identity, partner);
  }

  connect(): Promise<RawPeer> {
    return RawPeer.tcp(this.cloud.ports.tcp);
  }

  /** The request of a handshake, and what becomes of the answer. */
  request({ attempt = 'bootstrap', previous, now }: AskOptions = {}) {
    const { view, clock } = this.cloud.installation;
    const key = pinOf(view.current.identity);
    return startSession({
      identity: this.identity,
      partner: { cloudId: this.cloud.cloudId, key },
      attempt,
      ...(previous && { previous }),
      now: now ?? clock.now(),
    });
  }

  async agree(raw: RawPeer, options: AskOptions = {}): Promise<AgreedSession> {
    const { ticket, finish } = await this.request(options);
    const answer = await raw.call('getSession', fromTicket(ticket));
    return finish(toTicket(answer), this.cloud.installation.clock.now());
  }

  startAttach(session: AgreedSession, binding = noBinding) {
    const responder = { cloudId: this.cloud.cloudId, fingerprint: session.partnerFingerprint };
    const initiator = { cloudId: this.identity.cloudId, fingerprint: session.ownFingerprint };
    return startAttach(session.secret, { sid: session.sid, initiator, responder, binding });
  }

  async attach(raw: RawPeer, session: AgreedSession, binding?: Buffer): Promise<ChannelKeys> {
    const { request, finish } = this.startAttach(session, binding);
    const keys = finish(await raw.call('attach', new AttachRequest({ ...request })));
    raw.secure(keys);
    return keys;
  }

  /** A channel, confirmed by its first call. */
  async channel(session?: AgreedSession): Promise<RawPeer> {
    const raw = await this.connect();
    await this.attach(raw, session ?? (await this.agree(raw)));
    await raw.ping();
    return raw;
  }
}
