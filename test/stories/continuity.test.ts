/** A partner that has lost its sessions, where starting anew needs an operator. */
import { expect } from 'chai';
import type { AllianceError } from '../../src/core/errors.ts';
import { pairingLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { ping } from '../../src/rproxy/ping.ts';
import { closeSessions } from '../../src/rproxy/session.ts';
import { createShiftedClock, type ShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { runCommand } from '../support/commandLine.ts';

describe('continuity required', () => {
  let clock: ShiftedClock;
  let east: Cloud;
  let west: Cloud;
  let atWest: Partner;

  beforeEach(async () => {
    clock = createShiftedClock();
    const env = { ALLIANCE_PARTNERS__WEST__CONTINUITY: 'required' };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', clock, env }),
      startCloud({ cloudId: 'west', clock }),
    ]);
    ({ atAcceptor: atWest } = await pairClouds(east, west));
  });
  afterEach(stopClouds);

  const call = () =>
    ping(west.installation.pool, 'west', atWest).then(
      () => 'ok',
      (error: AllianceError) => error.errorName,
    );
  const forget = async () => {
    await closeSessions(west.installation.store, atWest);
    await west.installation.view.refresh();
  };
  const grant = () => runCommand(['partner', 'approve', 'west', '--continuity'], { home: east.home, env: east.env });

  it('an operator lets one new start through, and no second', async () => {
    expect(await call()).to.equal('ok');
    await forget();
    expect(await call()).to.equal('continuity_required');
    const { code, stdout, stderr } = await grant();
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.contain('west may start anew once within 15 min');
    expect(await call()).to.equal('ok');
    expect((await east.partner('west')).continuityGrantedTill).to.equal(null);
    await forget();
    expect(await call()).to.equal('continuity_required');
  });

  it('a permission that nobody used ends', async () => {
    await call();
    await forget();
    expect((await grant()).code).to.equal(0);
    clock.advance(pairingLimits.ttlMs + 1000);
    expect(await call()).to.equal('continuity_required');
  });
});
