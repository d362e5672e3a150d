/** What an operator does to a trust takes effect on brokers that run, within a second, from whatever process it is done. */
import { expect } from 'chai';
import { accept, approve, endTrust, invite, refreshPairing } from '../../src/broker/partners.ts';
import type { AllianceError } from '../../src/core/errors.ts';
import type { Partner } from '../../src/model/partner.ts';
import { ping } from '../../src/rproxy/ping.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { until } from '../support/until.ts';

const oneSecondMs = 1000;

describe('trust', () => {
  const clock = createShiftedClock();
  let east: Cloud;
  let west: Cloud;
  let atEast: Partner;
  let atWest: Partner;

  const call = (from: Cloud, partner: Partner) => ping(from.installation.pool, from.cloudId, partner);
  const outcome = (from: Cloud, partner: Partner): Promise<string> =>
    call(from, partner).then(
      () => 'ok',
      (error: AllianceError) => `${error.remote ? 'remote ' : ''}${error.errorName}`,
    );
  const inbound = (cloud: Cloud) => cloud.metric('alliance_channels', { direction: 'in' });
  /** Does something and checks that west is refused by east within a second, its channel included. */
  async function endsWithinASecond(act: () => Promise<unknown>, expected: RegExp): Promise<void> {
    expect(await outcome(west, atWest)).to.equal('ok');
    expect(await inbound(east)).to.be.greaterThan(0);
    await act();
    const startedAt = performance.now();
    await until('no channel is left', async () => (await inbound(east)) === 0, 2000);
    expect(performance.now() - startedAt).to.be.lessThan(oneSecondMs);
    expect(await outcome(west, atWest)).to.match(expected);
  }

  beforeEach(async () => {
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', clock, pauses: { noticeMs: 100 } }),
      startCloud({ cloudId: 'west', clock, pauses: { noticeMs: 100 } }),
    ]);
    ({ atInviter: atEast, atAcceptor: atWest } = await pairClouds(east, west));
  });
  afterEach(stopClouds);

  it('suspended by another process, and resumed', async () => {
    const second = await east.openSecond();
    await endsWithinASecond(() => second.store.partners.apply(atEast.uid, 'suspend'), /partner_not_active/);
    expect(await outcome(east, await east.partner('west'))).to.equal('partner_not_active');
    await second.store.partners.apply(atEast.uid, 'resume');
    await until('they speak again', async () => (await outcome(west, atWest)) === 'ok', 3000);
  });

  it('revoked by another process, for good; the partner is told', async () => {
    const second = await east.openSecond();
    await endsWithinASecond(() => endTrust(second, atEast, 'revoked'), /partner_not_active|ticket_refused/);
    const there = await west.partner('east');
    expect([there.state, there.revokedBy]).to.deep.equal(['revoked', 'partner']);
    const here = await east.partner('west');
    expect([here.state, here.revokedBy, here.noticePending]).to.deep.equal(['revoked', 'us', null]);
    expect(await east.installation.store.sessions.list(atEast.uid)).to.deep.equal([]);
    await rejection(east.installation.store.partners.apply(atEast.uid, 'resume'), 'illegal_transition');
  });

  it('expired by the clock, and renewed', async () => {
    await east.installation.store.partners.update(atEast.uid, { trustTill: clock.now() + 60_000 });
    await east.installation.view.refresh();
    await endsWithinASecond(async () => clock.advance(60_001), /partner_not_active/);
    expect(east.installation.view.stateOf(await east.partner('west'))).to.equal('expired');
    await east.installation.store.partners.apply(atEast.uid, 'renew', { trustTill: clock.now() + 3600_000 });
    await until('they speak again', async () => (await outcome(west, atWest)) === 'ok', 3000);
  });

  it('a trust with an end is told to the acceptor, and no session outlives it', async () => {
    const north = await startCloud({ cloudId: 'north', clock });
    const trustTill = clock.now() + 3600_000;
    const { atAcceptor } = await pairClouds(east, north, { trustTill });
    expect(atAcceptor.trustTill).to.equal(trustTill);
    await call(north, atAcceptor);
    const [session] = await north.installation.store.sessions.list(atAcceptor.uid);
    expect(session!.validTill).to.equal(trustTill);
  });

  it('removed: the other side is told, and the cloud_id stays bound to its key', async () => {
    await endTrust(west.installation, atWest, 'removed');
    await rejection(west.partner('east'), 'partner_not_found');
    expect((await east.partner('west')).revokedBy).to.equal('partner');

    // The same cloud_id comes with another key: refused, unless the operator says that it is meant.
    await endTrust(east.installation, await east.partner('west'), 'removed');
    await west.stop();
    const impostor = await startCloud({ cloudId: 'west', clock });
    const first = await invite(east.installation);
    const { errorName } = (await accept(impostor.installation, first.token).catch(
      (error: AllianceError) => error as AllianceError,
    )) as AllianceError;
    expect(errorName).to.equal('identity_known');
    await rejection(east.partner('west'), 'partner_not_found');
    await rejection(impostor.partner('east'), 'partner_not_found');
    const { atInviter } = await pairClouds(east, impostor, { replaceIdentity: true });
    expect(atInviter.uid).not.to.equal(atEast.uid);
    expect(atInviter.keys.map((key) => key.fingerprint)).to.deep.equal([
      impostor.installation.view.current.identity.fingerprint,
    ]);
  });

  it('a removed partner may come back with the key it had', async () => {
    await endTrust(east.installation, atEast, 'removed');
    await endTrust(west.installation, await west.partner('east'), 'removed');
    const again = await pairClouds(west, east);
    expect(again.atInviter.state).to.equal('active');
    expect(again.atInviter.uid).not.to.equal(atWest.uid);
  });

  it('a partner that was away hears of the end when it is back', async () => {
    await west.stopBroker();
    expect(await endTrust(east.installation, atEast, 'revoked')).to.deep.equal({ told: false });
    expect((await east.partner('west')).noticePending).to.equal('revoked');
    await west.startBroker();
    await until('west knows', async () => (await west.partner('east')).revokedBy === 'partner', 16_000);
    await until('east knows that', async () => (await east.partner('west')).noticePending === null);
  });

  it('also of a removal that came after the revocation, and while it is too busy to listen it is told again', async () => {
    await west.stopBroker();
    await endTrust(east.installation, atEast, 'revoked');
    await endTrust(east.installation, await east.partner('west'), 'removed');
    const { store } = east.installation;
    const removed = () => store.partners.list({ removed: true });
    expect((await removed()).map((partner) => partner.noticePending)).to.deep.equal(['removed']);
    // Room for the ticket, and none for the attach after it.
    const busy = {
      ALLIANCE_LIMITS__UNAUTHENTICATED_PER_S: '0.001',
      ALLIANCE_LIMITS__UNAUTHENTICATED_BURST: '1',
    };
    Object.assign(west.env, busy);
    await west.startBroker();
    const refused = () => west.metric('alliance_refusals_total', { reason: 'rate' });
    await until('a notice was refused', async () => (await refused()) > 0, 16_000);
    expect((await removed()).length).to.equal(1);
    for (const name of Object.keys(busy)) delete west.env[name];
    await west.stopBroker();
    await west.startBroker();
    clock.advance(60_000);
    await until(
      'west knows',
      async () => {
        clock.advance(1000);
        return (await west.partner('east')).revokedBy === 'partner';
      },
      16_000,
    );
    await until('east has forgotten', async () => (await removed()).length === 0);
  });

  it('a pending partner may ask whether it was approved, and nothing else', async () => {
    const north = await startCloud({ cloudId: 'north', clock });
    const { token } = await invite(east.installation);
    const accepted = await accept(north.installation, token);
    expect(accepted.state).to.equal('pending');
    expect((await refreshPairing(north.installation, accepted)).state).to.equal('pending');
    expect(await outcome(north, accepted)).to.equal('ok');
    const waiting = await east.partner('north');
    await rejection(approve(east.installation, waiting, 'AAAA-AAAA'), 'code_mismatch');
    await rejection(approve(north.installation, accepted, accepted.code ?? ''), 'illegal_transition');
    expect((await east.partner('north')).state).to.equal('pending');
    expect(waiting.code).to.equal(accepted.code);
  });

  it('the running acceptor finds out by itself that it was approved', async () => {
    const north = await startCloud({ cloudId: 'north', clock, pauses: { pairingMs: 50 } });
    const { token } = await invite(east.installation, { role: 'consumer' });
    const accepted = await accept(north.installation, token);
    await approve(east.installation, await east.partner('north'), (accepted.code ?? '').toLowerCase());
    await until('north is active', async () => (await north.partner('east')).state === 'active', 3000);
  });
});
