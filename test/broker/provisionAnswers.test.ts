/** What a partner answers between two tries of one request: only its word that there is no project ends what we know of it. */
import { expect } from 'chai';
import { askForProject, findProvision, giveBackProject } from '../../src/broker/provisions.ts';
import { provisionLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { presentStates } from '../../src/model/provision.ts';
import { provision } from '../../src/rproxy/provision.ts';
import { closeSessions } from '../../src/rproxy/session.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { until } from '../support/until.ts';

const minute = 60_000;

describe('requests for projects, whose answer is lost', function () {
  this.timeout(60_000);
  let clock: ReturnType<typeof createShiftedClock>;
  let clockAtEast: ReturnType<typeof createShiftedClock>;
  let keystone: SandboxKeystone;
  let east: Cloud;
  let west: Cloud;
  let atEast: Partner;
  let atWest: Partner;

  beforeEach(async () => {
    clock = createShiftedClock();
    clockAtEast = createShiftedClock();
    keystone = await startSandboxKeystone({ region: 'east' });
    const pauses = { provisionMs: 3600_000, bundleMs: 3600_000, newPartnerMs: 3600_000, checkpointMs: 3600_000 };
    const env = {
      ALLIANCE_PARTNERS__WEST__PROVISION__PROJECTS: '2',
      ALLIANCE_PARTNERS__WEST__PROVISION__ROLES: 'member,ghost',
    };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', keystone, env, clock: clockAtEast, pauses }),
      startCloud({ cloudId: 'west', clock, pauses }),
    ]);
    ({ atInviter: atEast, atAcceptor: atWest } = await pairClouds(east, west, { role: 'consumer' }));
  });
  afterEach(async () => {
    await stopClouds();
    await keystone.stop();
  });

  const content = (name: string) => ({ name, userId: null, roles: null, expiresAt: null });
  const ask = (id: string, installation = west.installation) => askForProject(installation, atWest, id, content(id));
  const find = (project: string) => findProvision(west.installation, atWest.cloudId, 'out', project);
  const remove = async (id: string, installation = west.installation) =>
    giveBackProject(installation, atWest, await find(id));
  const rows = async ({ installation }: Cloud) =>
    (await installation.store.provisions.list({ states: presentStates })).map((row) => `${row.requestId} ${row.state}`);
  const projects = () => [...keystone.state.projects.values()].map(({ name }) => name).sort();

  /** As after kill -9: stored, sent, made; nothing of the answer is known. */
  async function lose(requestId: string, isSent = true): Promise<void> {
    const asked = content(requestId);
    const request = { direction: 'out', requestId, asked, roles: [], domainId: null, expiresAt: null } as const;
    await west.installation.store.provisions.reserve(atWest, request, 9);
    if (isSent) await provision(west.installation.pool, atWest, { requestId }, asked);
  }

  async function trust(event: 'suspend' | 'resume'): Promise<void> {
    await east.installation.store.partners.apply(atEast.uid, event);
    await east.installation.view.refresh();
  }

  const both = ['lost1 creating', 'lost2 creating'];

  it('outlive a suspension: neither a repeat nor a removal forgets them', async () => {
    await lose('lost1');
    await lose('lost2');
    await trust('suspend');
    await rejection(ask('lost1'), 'partner_not_active');
    await rejection(remove('lost2'), 'partner_not_active');
    expect(await rows(west)).to.deep.equal(both);
    await trust('resume');
    expect(await ask('lost1')).to.include({ state: 'active' });
    expect(await remove('lost2')).to.equal('given back');
    expect(projects()).to.deep.equal(['admin', 'demo', 'lost1']);
  });

  it('outlive clocks that differ', async () => {
    await lose('lost1');
    await lose('lost2');
    await closeSessions(west.installation.store, atWest);
    clockAtEast.advance(5 * minute);
    const second = await west.openSecond();
    await rejection(ask('lost1', second), 'clock_skew');
    await rejection(remove('lost2', second), 'clock_skew');
    expect(await rows(west)).to.deep.equal(both);
    clockAtEast.advance(-5 * minute);
    expect(await ask('lost1', second)).to.include({ state: 'active' });
    expect(await remove('lost2', second)).to.equal('given back');
  });

  it('outlive a Keystone that refuses the broker of the partner', async () => {
    const making = { match: { method: 'POST', path: /projects/ } };
    keystone.faults.always('down', making);
    for (const id of ['lost1', 'lost2']) await rejection(ask(id), 'keystone_unreachable');
    keystone.faults.clear();
    keystone.faults.always('403', making);
    await rejection(ask('lost1'), 'keystone_refused');
    await rejection(remove('lost2'), 'keystone_refused');
    expect(await rows(west)).to.deep.equal(both);
    keystone.faults.clear();
    expect(await ask('lost1')).to.include({ state: 'active' });
    expect(await remove('lost2')).to.equal('given back');
    expect(projects()).to.deep.equal(['admin', 'demo', 'lost1']);
  });

  it('are kept at the first sending, too, where the partner says nothing about the request', async () => {
    await trust('suspend');
    const open: string[] = [];
    const first = askForProject(west.installation, atWest, 'lost1', content('lost1'), () => open.push('lost1'));
    await rejection(first, 'partner_not_active');
    expect(open).to.deep.equal(['lost1']);
    expect(await rows(west)).to.deep.equal(['lost1 creating']);
  });

  it('are not forgotten for what the partner refuses by now', async () => {
    await ask('other1');
    await lose('lost1', false);
    await ask('other2');
    // That none is made now says nothing about the first time.
    await rejection(ask('lost1'), 'provision_limit');
    expect(await rows(west)).to.include('lost1 creating');
    await remove('other1');
    expect(await ask('lost1')).to.include({ state: 'active' });
  });

  it('are not forgotten by the first sending where another one is under way', async () => {
    const asked = { ...content('twice'), roles: ['ghost'] };
    const send = () => askForProject(west.installation, atWest, 'twice', asked);
    keystone.faults.always('slow', { match: { path: /roles/ }, delayMs: 500 });
    const refused = [rejection(send(), 'provision_refused')];
    await until('the first one is under way', () => keystone.faults.hits > 0);
    refused.push(rejection(send(), 'provision_refused'));
    await Promise.all(refused);
    expect(await rows(west)).to.deep.equal(['twice creating']);
    keystone.faults.clear();
    // Alone it is.
    await rejection(askForProject(west.installation, atWest, 'once', { ...asked, name: 'once' }), 'provision_refused');
    expect(await rows(west)).to.deep.equal(['twice creating']);
  });

  it('end where the partner says that it has removed what it made, or removes it', async () => {
    await lose('lost1');
    const { provisions } = east.installation.store;
    const [theirs] = await provisions.list();
    await provisions.beginRemoval(theirs!.id, 'operator');
    await rejection(ask('lost1'), 'project_not_found');
    expect(await rows(west)).to.deep.equal([]);
    // It is remembered, as it is there: the id makes no other one.
    const again = await rejection(ask('lost1'), 'bad_request');
    expect(again.remote).to.equal(false);
  });

  it('that never arrived are given up without making anything, once they cannot be under way any more', async () => {
    await lose('lost1', false);
    const { details } = await rejection(remove('lost1'), 'project_not_found');
    expect(details).to.contain('under way');
    expect(await rows(west)).to.deep.equal(['lost1 creating']);
    clock.advance(provisionLimits.healMs);
    expect(await remove('lost1')).to.equal('given back');
    expect(await rows(west)).to.deep.equal([]);
    expect(await east.installation.store.provisions.list(), 'nothing was made').to.deep.equal([]);
  });
});
