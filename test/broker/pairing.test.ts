/** Pairing between real brokers: what is refused, and that nothing is stored then. */
import { expect } from 'chai';
import { accept, approve, invite } from '../../src/broker/partners.ts';
import { decodeInvitation, encodeInvitation } from '../../src/channel/invitation.ts';
import { mirrorRole, type PartnerRole, startPairing } from '../../src/channel/pairing.ts';
import type { ErrorName } from '../../src/core/errorTable.ts';
import type { CloudId } from '../../src/core/ids.ts';
import { pairingLimits } from '../../src/core/limits.ts';
import type { Identity } from '../../src/crypto/identity.ts';
import { PairOpen, PairProof, PairRequest } from '../../src/wire/types.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { RawPeer } from '../support/rawPeer.ts';
import { startRawServer, stopRawServers } from '../support/rawServer.ts';

describe('pairing', () => {
  const clock = createShiftedClock();
  let east: Cloud;
  let west: Cloud;

  before(async () => {
    const env = { ALLIANCE_LIMITS__UNAUTHENTICATED_PER_S: '0' };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', clock, env }),
      startCloud({ cloudId: 'west', clock, env }),
    ]);
  });
  after(stopClouds);
  afterEach(async () => {
    for (const cloud of [east, west]) {
      const { store, view } = cloud.installation;
      for (const { uid } of await store.partners.list()) await store.partners.remove(uid, { notify: false });
      await view.refresh();
    }
    await stopRawServers();
  });

  const partnersOf = async (cloud: Cloud) =>
    (await cloud.installation.store.partners.list()).map((partner) => partner.cloudId as string);
  const nothingStored = async () => expect([await partnersOf(east), await partnersOf(west)]).to.deep.equal([[], []]);
  const spent = async (token: string) => {
    const id = decodeInvitation(token).id.toString('base64url');
    const all = await east.installation.store.invitations.list();
    return all.find((one) => one.id === id)!.usedBy !== null;
  };
  async function refused(token: string, name: ErrorName, by: Cloud = west): Promise<void> {
    await rejection(accept(by.installation, token), name);
    await nothingStored();
  }

  /** The acceptor's part by hand, up to and with the proof. */
  async function pairByHand(token: string, identity: Identity, role?: PartnerRole) {
    const invitation = decodeInvitation(token);
    const card = {
      cloudId: identity.cloudId,
      certificate: identity.certificateDer,
      endpoints: ['tls://127.0.0.1:9'],
      role: role ?? mirrorRole(invitation.role),
      binding: 'exporter' as const,
    };
    const raw = await RawPeer.tls(east.ports.tls);
    const { open, prove } = startPairing({ identity, card, invitation });
    const { invitationId, commitment } = open;
    const request = new PairRequest({
      open: new PairOpen({ invitation_id: invitationId, card: open.card, commitment }),
    });
    const { offer } = await raw.call('pair', request);
    const { proof, finish } = await prove(offer!, invitation.fingerprint);
    return { raw, proof, finish, request };
  }
  const proofRequest = (proof: { nonce: Buffer; signature: string; mac: Buffer }) =>
    new PairRequest({ proof: new PairProof({ ...proof }) });

  it('both sides show one code, and the roles mirror each other', async () => {
    const { token } = await invite(east.installation, { role: 'provider', name: 'the-west' });
    const accepted = await accept(west.installation, token, { name: 'the-east' });
    const waiting = await east.partner('the-west');
    expect([waiting.cloudId, waiting.role, waiting.state, waiting.approval]).to.deep.equal([
      'west',
      'provider',
      'pending',
      'us',
    ]);
    expect([accepted.name, accepted.role, accepted.approval]).to.deep.equal(['the-east', 'consumer', 'partner']);
    expect(accepted.code).to.match(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
    expect(waiting.code).to.equal(accepted.code);
    expect(waiting.endpoints).to.deep.equal([`tls://127.0.0.1:${west.ports.tls}`]);
    expect([waiting.binding, accepted.binding]).to.deep.equal(['exporter', 'exporter']);
  });

  it('with --approve there is nothing to wait for', async () => {
    const { atInviter, atAcceptor } = await pairClouds(east, west, { approve: true });
    expect([atInviter.state, atAcceptor.state]).to.deep.equal(['active', 'active']);
  });

  it('an invitation is used once: not by another key, and by the same one only with the same result', async () => {
    const { token } = await invite(east.installation);
    const first = await accept(west.installation, token);
    const north = await startCloud({ cloudId: 'north', clock });
    await rejection(accept(north.installation, token), 'invitation_refused');
    expect(await partnersOf(north)).to.deep.equal([]);
    expect(await partnersOf(east)).to.deep.equal(['west']);
    await rejection(accept(west.installation, token), 'identity_known');
    expect((await west.partner('east')).uid).to.equal(first.uid);
    await north.stop();
  });

  it('a lost answer is no harm: the second try has the same partner, and the codes agree', async () => {
    const { token } = await invite(east.installation);
    const { raw, proof } = await pairByHand(token, west.installation.view.current.identity);
    await raw.call('pair', proofRequest(proof));
    const { uid } = await east.partner('west');
    const accepted = await accept(west.installation, token);
    const there = await east.partner('west');
    expect([there.uid, there.code]).to.deep.equal([uid, accepted.code]);
    expect((await approve(east.installation, there, accepted.code ?? '')).state).to.equal('active');
  });

  it('expired, cut short, altered or of another version', async () => {
    const { token } = await invite(east.installation, { ttlMs: 60_000 });
    await refused(token.slice(0, -3), 'invitation_unreadable');
    await refused(
      token.replace(/.(?=.{40}$)/, (c) => (c === 'A' ? 'B' : 'A')),
      'invitation_unreadable',
    );
    await refused(`alliance2${token.slice(9)}`, 'invitation_unreadable');
    await refused('', 'invitation_unreadable');
    clock.advance(60_001);
    await refused(token, 'invitation_refused');
    const prolonged = encodeInvitation({ ...decodeInvitation(token), expiresAt: clock.now() + 60_000 });
    await refused(prolonged, 'invitation_refused');
  });

  it('with another secret, another id, another key or another cloud_id in it', async () => {
    const { token } = await invite(east.installation);
    const good = decodeInvitation(token);
    const { fingerprint } = makeIdentity('east');
    await refused(encodeInvitation({ ...good, secret: Buffer.alloc(32, 1) }), 'invitation_refused');
    await refused(encodeInvitation({ ...good, id: Buffer.alloc(16, 1) }), 'invitation_refused');
    await refused(encodeInvitation({ ...good, fingerprint }), 'pin_mismatch');
    await refused(encodeInvitation({ ...good, cloudId: 'south' as CloudId }), 'pin_mismatch');
    await refused(encodeInvitation({ ...good, role: 'provider' }), 'invitation_refused');
    expect(await spent(token)).to.equal(false);
    await accept(west.installation, token);
  });

  it('another certificate on the way', async () => {
    const between = makeIdentity('east');
    const { endpoint } = await startRawServer(() => undefined, {
      tls: { key: between.keyPem, cert: between.certificatePem },
    });
    const { token } = await invite(east.installation);
    const endpoints = [`tls://127.0.0.1:${endpoint.port}`];
    await refused(encodeInvitation({ ...decodeInvitation(token), endpoints }), 'pin_mismatch');
    expect(await spent(token)).to.equal(false);
  });

  it('an endpoint that is dead gives way to the next; one without TLS is none', async () => {
    const { token } = await invite(east.installation);
    const good = decodeInvitation(token);
    const [endpoint = ''] = good.endpoints;
    await refused(encodeInvitation({ ...good, endpoints: [`tcp://127.0.0.1:${east.ports.tcp}`] }), 'pairing_needs_tls');
    await refused(encodeInvitation({ ...good, endpoints: ['tls://169.254.169.254:80'] }), 'dial_refused');
    await accept(west.installation, encodeInvitation({ ...good, endpoints: ['tls://127.0.0.1:1', endpoint] }));
  });

  it('for another cloud', async () => {
    const { token } = await invite(east.installation, { forCloudId: 'north' });
    await refused(token, 'invitation_refused');
    expect(await spent(token)).to.equal(false);
  });

  it('our own, or of a cloud that is a partner already', async () => {
    const { token } = await invite(east.installation);
    await rejection(accept(east.installation, token), 'identity_known');
    await nothingStored();
    await pairClouds(east, west);
    await rejection(accept(west.installation, token), 'identity_known');
    expect(await spent(token)).to.equal(false);
  });

  it('a known key under another cloud_id, and our own key or name, are refused at the proof', async () => {
    await pairClouds(east, west);
    // Without what changes as long as they speak with each other.
    const stored = async () => {
      const { uid, cloudId, name, role, state, trustSince, keys, endpoints } = await east.partner('west');
      return { uid, cloudId, name, role, state, trustSince, keys, endpoints };
    };
    const before = await stored();
    const { keyPem } = west.installation.view.current.identity;
    expect(keyPem).to.be.a('string');
    const disguised = { ...west.installation.view.current.identity, cloudId: 'south' as CloudId };
    const ours = { ...east.installation.view.current.identity, cloudId: 'south' as CloudId };
    const namesake = makeIdentity('east');
    const again = makeIdentity('west');
    for (const identity of [disguised, ours, namesake, again]) {
      const { token } = await invite(east.installation);
      const { raw, proof } = await pairByHand(token, identity);
      await rejection(raw.call('pair', proofRequest(proof)), 'identity_known');
      await raw.closed;
      expect(await spent(token)).to.equal(false);
    }
    expect(await partnersOf(east)).to.deep.equal(['west']);
    expect(await stored()).to.deep.equal(before);
  });

  it('a proof that does not hold is refused, whatever is wrong with it, and the connection ends', async () => {
    const { token } = await invite(east.installation);
    const identity = makeIdentity('south');
    const wrongs = [
      async () => {
        const { raw, proof } = await pairByHand(token, identity);
        return { raw, proof: { ...proof, mac: Buffer.alloc(32) } };
      },
      async () => {
        const { raw, proof } = await pairByHand(token, identity);
        return { raw, proof: { ...proof, nonce: Buffer.alloc(32) } };
      },
      async () => {
        const { raw, proof } = await pairByHand(token, identity);
        const other = await pairByHand(token, identity);
        other.raw.close();
        return { raw, proof: { ...proof, signature: other.proof.signature } };
      },
      async () => {
        const { raw } = await pairByHand(token, identity);
        const other = await pairByHand(token, identity);
        other.raw.close();
        return { raw, proof: other.proof };
      },
      () => pairByHand(token, identity, 'provider'),
    ];
    const texts = new Set<string>();
    for (const wrong of wrongs) {
      const { raw, proof } = await wrong();
      texts.add((await rejection(raw.call('pair', proofRequest(proof)), 'invitation_refused')).message);
      await raw.closed;
    }
    expect(texts.size).to.equal(1);
    await nothingStored();
    expect(await east.metric('alliance_refusals_total', { reason: 'pairing' })).to.be.at.least(wrongs.length);
  });

  it('first the card, then the proof, and each once a connection', async () => {
    const { token } = await invite(east.installation);
    const { raw, request, proof } = await pairByHand(token, makeIdentity('south'));
    await rejection(raw.call('pair', request), 'bad_request');
    const fresh = await RawPeer.tls(east.ports.tls);
    await rejection(fresh.call('pair', proofRequest(proof)), 'bad_request');
    await rejection(fresh.call('pair', new PairRequest({})), 'bad_request');
    const both = new PairRequest({ ...request, proof: new PairProof({ ...proof }) });
    await rejection(fresh.call('pair', both), 'bad_request');
    for (const change of [{ card: Buffer.alloc(pairingLimits.cardBytes + 1) }, { commitment: Buffer.alloc(31) }]) {
      const other = await RawPeer.tls(east.ports.tls);
      const open = new PairOpen({ ...request.open!, ...change });
      await rejection(other.call('pair', new PairRequest({ open })), 'bad_request');
      other.close();
    }
    for (const one of [raw, fresh]) one.close();
    await nothingStored();
  });

  it('a name that is taken, reserved or malformed is told before the invitation is used', async () => {
    await pairClouds(east, west);
    const north = await startCloud({ cloudId: 'north', clock });
    const { token } = await invite(north.installation);
    for (const [name, expected] of [
      ['east', 'identity_known'],
      ['all', 'name_reserved'],
      ['No Name', 'bad_request'],
    ] as const)
      await rejection(accept(west.installation, token, { name }), expected);
    expect(await partnersOf(north)).to.deep.equal([]);
    expect((await accept(west.installation, token, { name: 'fine' })).name).to.equal('fine');
    await north.stop();
  });

  it('an invitation has bounds', async () => {
    const { installation } = east;
    for (const ttlMs of [0, -1, Number.NaN, pairingLimits.maxTtlMs + 1])
      await rejection(invite(installation, { ttlMs }), 'bad_request');
    await rejection(invite(installation, { trustTill: clock.now() }), 'bad_request');
    await rejection(invite(installation, { name: 'all' }), 'name_reserved');
    await rejection(invite({ ...installation, endpoints: ['tcp://127.0.0.1:1'] }), 'configuration');
  });
});
