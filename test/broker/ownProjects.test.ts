/** Projects that a partner made for this cloud: a wrong clock here takes none of them away. */
import { expect } from 'chai';
import { confirmQuietProject, tendOwnProjects } from '../../src/broker/ownProjects.ts';
import { askForProject, findProvision, giveBackProject } from '../../src/broker/provisions.ts';
import { dayMs } from '../../src/core/clock.ts';
import { provisionLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { presentStates } from '../../src/model/provision.ts';
import { provision } from '../../src/rproxy/provision.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';

describe('broker/ownProjects', function () {
  this.timeout(60_000);
  let clock: ReturnType<typeof createShiftedClock>;
  let keystone: SandboxKeystone;
  let east: Cloud;
  let west: Cloud;
  let atWest: Partner;

  beforeEach(async () => {
    clock = createShiftedClock();
    keystone = await startSandboxKeystone({ region: 'east' });
    const pauses = { provisionMs: 3600_000, bundleMs: 3600_000, newPartnerMs: 3600_000, checkpointMs: 3600_000 };
    const env = {
      ALLIANCE_PARTNERS__WEST__PROVISION__PROJECTS: '9',
      ALLIANCE_PARTNERS__WEST__PROVISION__ROLES: 'member',
    };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', keystone, env, pauses }),
      startCloud({ cloudId: 'west', clock, pauses }),
    ]);
    ({ atAcceptor: atWest } = await pairClouds(east, west, { role: 'consumer' }));
  });
  afterEach(async () => {
    await stopClouds();
    await keystone.stop();
  });

  const content = (name: string, days: number) => ({
    name,
    userId: null,
    roles: null,
    expiresAt: clock.now() + days * dayMs,
  });
  const ask = (name: string, days = 90) => askForProject(west.installation, atWest, name, content(name, days));
  /** Stored, sent and made; nothing of the answer is known. */
  async function lose(requestId: string): Promise<void> {
    const asked = content(requestId, 90);
    const { expiresAt } = asked;
    const request = { direction: 'out', requestId, asked, roles: [], domainId: null, expiresAt } as const;
    await west.installation.store.provisions.reserve(atWest, request, 9);
    await provision(west.installation.pool, atWest, { requestId }, asked);
  }
  const tend = () => tendOwnProjects(west.installation);
  const find = (project: string) => findProvision(west.installation, atWest.cloudId, 'out', project);
  const present = async () =>
    (await west.installation.store.provisions.list({ direction: 'out', states: presentStates })).map(
      ({ requestId, state }) => `${requestId} ${state}`,
    );
  const projects = () => [...keystone.state.projects.values()].map(({ name }) => name).sort();
  const leapMs = 200 * dayMs;

  it('are still there when the clock has been far ahead for a while', async () => {
    const kept = await ask('kept');
    await ask('near', 4);
    await lose('lost');
    const all = ['kept active', 'near active', 'lost creating'];
    clock.advance(leapMs);
    await tend();
    await tend();
    expect(await present()).to.deep.equal(all);
    clock.advance(-leapMs);
    await tend();
    expect(await present()).to.deep.equal(all);
    expect((await ask('kept', (kept.expiresAt! - clock.now()) / dayMs)).projectId).to.equal(kept.projectId);
  });

  it('that were announced under a wrong clock are announced again, and end in their time', async () => {
    const { id, expiresAt } = await ask('web', 10);
    clock.advance(leapMs);
    await tend();
    clock.advance(-leapMs);
    const row = async () => (await west.installation.store.provisions.list()).find((one) => one.id === id)!;
    expect((await row()).noticedAt).to.be.greaterThan(expiresAt!);
    clock.advance(10 * dayMs - provisionLimits.noticeMs);
    await tend();
    expect((await row()).noticedAt).to.be.within(clock.now() - 5000, clock.now());
    clock.advance(provisionLimits.noticeMs + provisionLimits.presumedGoneMs - 5000);
    await tend();
    expect(await row()).to.include({ state: 'active' });
    clock.advance(10_000);
    await tend();
    expect(await row()).to.include({ state: 'expired' });
  });

  it('are asked about at once after a clock that was ahead, not when it would have been due under it', async () => {
    await ask('web');
    clock.advance(leapMs);
    await west.installation.store.provisions.touch((await find('web')).id, 'active');
    clock.advance(-leapMs);
    await giveBackAtEast();
    await confirmQuietProject(west.installation, atWest);
    expect(await present()).to.deep.equal([]);
  });

  async function giveBackAtEast(): Promise<void> {
    const { provisions } = east.installation.store;
    for (const { id } of await provisions.list()) {
      await provisions.beginRemoval(id, 'operator');
      await provisions.endRemoval(id);
    }
  }

  it('that have ended here by a clock that stayed wrong can be given back by each of their ids', async () => {
    const byId = await ask('by-id');
    await ask('by-request');
    await ask('by-name');
    await lose('lost');
    await lose('never');
    clock.advance(leapMs);
    await tend();
    clock.advance(provisionLimits.presumedGoneMs);
    await tend();
    clock.advance(-leapMs - provisionLimits.presumedGoneMs);
    expect(await present()).to.deep.equal([]);
    for (const project of [byId.projectId!, 'by-request', 'by-name', 'lost']) {
      const given = await find(project);
      expect(given).to.include({ state: 'expired' });
      expect(await giveBackProject(west.installation, atWest, given)).to.equal('given back');
      await rejection(find(project), 'project_not_found');
    }
    expect(projects()).to.deep.equal(['admin', 'demo', 'never']);
    // What the partner has removed by itself is over then, too.
    await giveBackAtEast();
    expect(await giveBackProject(west.installation, atWest, await find('never'))).to.equal('given back');
    await rejection(find('never'), 'project_not_found');
  });

  it('that cannot be given back now are in the list again, and remembered', async () => {
    await ask('web', 2);
    clock.advance(3 * dayMs);
    await tend();
    clock.advance(provisionLimits.presumedGoneMs);
    await tend();
    expect(await present()).to.deep.equal([]);
    await east.stopBroker();
    await rejection(giveBackProject(west.installation, atWest, await find('web')), 'unreachable');
    expect(await present()).to.deep.equal(['web removing']);
    await east.startBroker();
  });
});
