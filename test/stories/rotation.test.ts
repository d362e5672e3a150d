/** How a broker changes its key, and what becomes of the old one. */
import { existsSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { announceIdentity, rotateIdentity } from '../../src/broker/identity.ts';
import { endTrust } from '../../src/broker/partners.ts';
import { createRotation } from '../../src/channel/rotation.ts';
import { fromTicket } from '../../src/client/session.ts';
import type { AllianceError } from '../../src/core/errors.ts';
import { identityLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { readTrustBundle } from '../../src/rproxy/identity.ts';
import { ping } from '../../src/rproxy/ping.ts';
import { RotationStatement } from '../../src/wire/types.ts';
import { createShiftedClock, type ShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

const dayMs = 86_400_000;

describe('rotation', () => {
  let clock: ShiftedClock;
  let east: Cloud;
  let west: Cloud;
  let atEast: Partner;
  let atWest: Partner;

  const own = (kind: 'P-256' | 'Ed25519' = 'Ed25519') => makeIdentity('east', kind);
  const statesAt = async (cloud: Cloud, of: string) =>
    (await cloud.partner(of)).keys.map((key) => `${key.state} ${key.algorithm}`);
  const call = (from: Cloud, partner: Partner) => ping(from.installation.pool, from.cloudId, partner);
  const outcomeOf = (calling: Promise<unknown>): Promise<string> =>
    calling.then(
      () => 'ok',
      (error: AllianceError) => error.errorName,
    );
  const outcome = (from: Cloud, partner: Partner) => outcomeOf(call(from, partner));
  /** In another process of that broker, because what the broker asks by itself may have failed often enough to open the circuit. */
  const refusalOf = async (from: Cloud, partner: Partner) =>
    outcomeOf(ping((await from.openSecond()).pool, from.cloudId, partner));

  beforeEach(async () => {
    clock = createShiftedClock();
    const pauses = { rotationMs: 50 };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', clock, pauses }),
      startCloud({ cloudId: 'west', clock, pauses }),
    ]);
    ({ atInviter: atEast, atAcceptor: atWest } = await pairClouds(east, west));
    await call(west, atWest);
    await call(east, atEast);
  });
  afterEach(stopClouds);

  it('the partner is told over the old key, and the old key is dead once the new one was used', async () => {
    const before = east.installation.view.current.identity;
    const { keyPem, certificatePem, fingerprint } = own();
    await rotateIdentity(east.installation, { own: { keyPem, certificatePem } });
    await until('west knows', async () => (await west.partner('east')).keys.length === 2);
    expect(await statesAt(west, 'east')).to.deep.equal(['current ES256', 'next EdDSA']);
    const { sequence } = east.installation.view.current;
    await until('east knows that', async () => (await east.partner('west')).acknowledgedSequence === sequence);

    // Both directions go on, and the first use of the new key ends the old one.
    expect(await outcome(west, atWest)).to.equal('ok');
    await east.installation.pool.open(await east.partner('west'), true);
    expect(await statesAt(west, 'east')).to.deep.equal(['current EdDSA', 'retired ES256']);
    await until('west speaks to the new key', async () => {
      const channels = west.installation.pool.channels().get(atWest.uid) ?? [];
      if ((await outcome(west, atWest)) !== 'ok') return false;
      return channels.length > 0 && channels.every((one) => one.session.partnerFingerprint.equals(fingerprint));
    });

    // Tickets of the old key are refused like a stranger's.
    const old = Object.assign(Object.create(PartnerPeer.prototype), { cloud: west, identity: before }) as PartnerPeer;
    const raw = await RawPeer.tcp(west.ports.tcp);
    await rejection(raw.call('getSession', fromTicket((await old.request()).ticket)), 'ticket_refused');

    // And so it stays after a restart, with the private key of the new one in a file of its own.
    await east.stopBroker();
    await east.startBroker();
    expect(east.installation.view.current.identity.fingerprint).to.deep.equal(fingerprint);
    expect(await outcome(west, atWest)).to.equal('ok');
    const file = `${east.home}/identities/${fingerprint.toString('hex')}.pem`;
    expect(existsSync(file) && statSync(file).mode & 0o777).to.equal(0o600);
  });

  it('who calls the new key first sees the old one retired at once', async () => {
    const { keyPem, certificatePem, fingerprint } = own();
    await rotateIdentity(east.installation, { own: { keyPem, certificatePem } });
    await until('west knows', async () => (await west.partner('east')).keys.length === 2);
    const { view, pool } = west.installation;
    await view.refresh();
    view.stop();
    await pool.open(atWest, true);
    const pins = view.pinsOf(view.partnerByUid(atWest.uid)!);
    expect(pins.map((pin) => pin.fingerprint)).to.deep.equal([fingerprint]);
  });

  it('within the overlap a partner that was away goes on with the old key', async () => {
    await west.stopBroker();
    const { keyPem, certificatePem } = own();
    await rotateIdentity(east.installation, { own: { keyPem, certificatePem }, overlapMs: dayMs });
    await west.startBroker();
    expect(await outcome(west, atWest)).to.equal('ok');
    await until('west knows', async () => (await west.partner('east')).keys.length === 2, 8000);
    expect(await outcome(west, atWest)).to.equal('ok');
  });

  it('who missed the overlap has to pair again', async () => {
    await west.stopBroker();
    const { keyPem, certificatePem } = own();
    await rotateIdentity(east.installation, { own: { keyPem, certificatePem }, overlapMs: dayMs });
    clock.advance(dayMs + 1);
    await west.startBroker();
    expect(await refusalOf(west, atWest)).to.be.oneOf(['pin_mismatch', 'ticket_refused']);
    await rejection(announceIdentity(east.installation, await east.partner('west')), 'rotation_refused');
  });

  it('no second one within the overlap, none longer than 30 days, none with a known key', async () => {
    const { keyPem, certificatePem } = own();
    await rejection(
      rotateIdentity(east.installation, { own: { keyPem, certificatePem }, overlapMs: identityLimits.overlapMs + 1 }),
      'bad_request',
    );
    await rotateIdentity(east.installation, { own: { keyPem, certificatePem } });
    const second = own('P-256');
    await rejection(
      rotateIdentity(east.installation, { own: { keyPem: second.keyPem, certificatePem: second.certificatePem } }),
      'rotation_overlap',
    );
    expect(east.installation.view.current.sequence).to.equal(2);
  });

  it('after a compromise nothing of the old key counts: no session, no overlap; pairing again mends it', async () => {
    const { keyPem, certificatePem, fingerprint } = own();
    await rotateIdentity(east.installation, { own: { keyPem, certificatePem }, compromised: true });
    expect(east.installation.view.identities.map((one) => one.identity.fingerprint)).to.deep.equal([fingerprint]);
    await until('no channel is left', async () => (await east.metric('alliance_channels', { direction: 'in' })) === 0);
    expect(await east.installation.store.sessions.list()).to.deep.equal([]);
    expect(await refusalOf(west, atWest)).to.be.oneOf(['pin_mismatch', 'unreachable']);
    expect(await refusalOf(east, await east.partner('west'))).to.equal('ticket_refused');

    await endTrust(west.installation, await west.partner('east'), 'removed');
    await endTrust(east.installation, await east.partner('west'), 'removed');
    const again = await pairClouds(west, east, { replaceIdentity: true });
    expect(again.atInviter.state).to.equal('active');
    expect(await outcome(east, again.atAcceptor)).to.equal('ok');
  });

  it('what a bundle says changes no pin, and what it does not know is told', async () => {
    const read = async () => {
      const { pool, store } = west.installation;
      return (await readTrustBundle(pool, store, await west.partner('east'), () => false)).announced;
    };
    expect(await read()).to.equal(true);
    await west.stopBroker();
    const { keyPem, certificatePem } = own();
    await rotateIdentity(east.installation, { own: { keyPem, certificatePem } });
    const { sequence } = east.installation.view.current;
    // As if east had told somebody who said to be west.
    await east.installation.store.partners.update(atEast.uid, { acknowledgedSequence: sequence });
    await west.startBroker();
    expect(await read()).to.equal(false);
    expect((await west.partner('east')).bundleSequence).to.equal(sequence);
    expect(await statesAt(west, 'east')).to.deep.equal(['current ES256']);
    expect(await outcome(west, atWest)).to.equal('ok');
  });

  describe('a statement', () => {
    let peer: PartnerPeer;
    let raw: RawPeer;

    beforeEach(async () => {
      peer = await PartnerPeer.join(west, 'north');
      raw = await peer.channel();
    });

    type Changes = Partial<Parameters<typeof createRotation>[0]>;
    const next = makeIdentity('north', 'Ed25519');
    const statement = async (changes: Changes = {}) => {
      const now = clock.now();
      const fields = await createRotation({
        oldIdentity: peer.identity,
        newIdentity: next,
        audience: 'west',
        sequence: 1,
        notBefore: now,
        overlapTill: now + dayMs,
        ...changes,
      });
      return new RotationStatement({
        payload: fields.payload,
        old_signature: fields.oldSignature,
        new_signature: fields.newSignature,
      });
    };
    const keys = async () => (await west.partner('north')).keys.length;

    it('is stored once, and a repeat gets the same receipt', async () => {
      const told = await statement();
      const receipt = await raw.call('updateIdentity', told);
      expect(receipt.fingerprint).to.deep.equal(next.fingerprint);
      expect(await raw.call('updateIdentity', told)).to.deep.equal(receipt);
      expect(await statesAt(west, 'north')).to.deep.equal(['current ES256', 'next EdDSA']);
      await rejection(
        raw.call('updateIdentity', await statement({ sequence: 2, newIdentity: makeIdentity('north') })),
        'rotation_overlap',
      );
      await rejection(
        raw.call('updateIdentity', await statement({ newIdentity: makeIdentity('north') })),
        'rotation_old_sequence',
      );
    });

    const wrongs: [what: string, changes: () => Changes][] = [
      ['for another cloud', () => ({ audience: 'east' })],
      ['of another cloud', () => ({ oldIdentity: makeIdentity('south') })],
      ['signed by another old key', () => ({ oldIdentity: makeIdentity('north') })],
      ['with an overlap that is over', () => ({ overlapTill: clock.now() - 1 })],
      ['with an overlap of 31 days', () => ({ overlapTill: clock.now() + 31 * dayMs })],
      ['to the key it has', () => ({ newIdentity: peer.identity })],
      ["to another partner's key", () => ({ newIdentity: east.installation.view.current.identity })],
      ['to our own key', () => ({ newIdentity: west.installation.view.current.identity })],
    ];
    for (const [what, changes] of wrongs)
      it(`${what} is refused`, async () => {
        await rejection(raw.call('updateIdentity', await statement(changes())), 'rotation_refused');
        expect(await keys()).to.equal(1);
        expect((await raw.ping()).response_data).to.equal('pong');
      });

    it('that the new key did not sign is refused', async () => {
      const good = await statement();
      const other = await statement({ newIdentity: makeIdentity('north') });
      const mixed = new RotationStatement({ ...good, new_signature: other.new_signature });
      await rejection(raw.call('updateIdentity', mixed), 'rotation_refused');
      const twice = new RotationStatement({ ...good, new_signature: good.old_signature });
      await rejection(raw.call('updateIdentity', twice), 'rotation_refused');
      expect(await keys()).to.equal(1);
    });

    it('ends the channels and sessions of the old key with its overlap, used or not', async () => {
      const session = await peer.agree(await peer.connect());
      await raw.call('updateIdentity', await statement({ overlapTill: clock.now() + 3600_000 }));
      const channel = await peer.channel(session);
      clock.advance(3600_000);
      await rejection(peer.attach(await peer.connect(), session), 'session_invalid');
      await channel.closed;
      const { ticket } = await peer.request();
      const stranger = await peer.connect();
      await rejection(stranger.call('getSession', fromTicket(ticket)), 'ticket_refused');
    });

    describe('of a thief of the old key', () => {
      const stolen = { newIdentity: makeIdentity('north'), sequence: 1000 };
      let rightful: PartnerPeer;

      beforeEach(async () => {
        await raw.call('updateIdentity', await statement());
        await rejection(raw.call('updateIdentity', await statement(stolen)), 'rotation_overlap');
        rightful = Object.assign(Object.create(PartnerPeer.prototype), { cloud: west, identity: next }) as PartnerPeer;
      });

      it('finds its channel closed as soon as the new key was used', async () => {
        const { view } = west.installation;
        await rightful.agree(await rightful.connect());
        expect(view.pinsOf(view.partnerByUid(peer.partner.uid)!).map((pin) => pin.fingerprint)).to.deep.equal([
          next.fingerprint,
        ]);
        await raw.closed;
      });

      it('is refused also by a process that has not yet seen that the new key was used', async () => {
        west.installation.view.stop();
        await (await west.openSecond()).store.partners.retireOldKey(peer.partner.uid, next.fingerprint);
        await rejection(raw.call('updateIdentity', await statement(stolen)), 'rotation_refused');
        expect(await statesAt(west, 'north')).to.deep.equal(['current EdDSA', 'retired ES256']);
        const receipt = await raw.call('updateIdentity', await statement());
        expect(receipt.fingerprint).to.deep.equal(next.fingerprint);
      });

      it('is refused when the overlap ended unseen', async () => {
        west.installation.view.stop();
        clock.advance(dayMs + 1);
        await rejection(raw.call('updateIdentity', await statement(stolen)), 'rotation_refused');
        expect((await west.partner('north')).rotationSequence).to.equal(1);
      });
    });

    it('over a channel of another partner is refused', async () => {
      const south = await PartnerPeer.join(west, 'south');
      const theirs = await south.channel();
      await rejection(theirs.call('updateIdentity', await statement()), 'rotation_refused');
      expect(await keys()).to.equal(1);
    });
  });
});
