/** Projects across two brokers, and what becomes of them by themselves: announced, removed, finished, switched off. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import { confirmQuietProject, tendOwnProjects } from '../../src/broker/ownProjects.ts';
import { endTrust } from '../../src/broker/partners.ts';
import { askForProject, findProvision, giveBackProject, takeBackProject } from '../../src/broker/provisions.ts';
import { tendProvisions } from '../../src/broker/provisionTask.ts';
import { provisionLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { type Provision, presentStates, removalOf } from '../../src/model/provision.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { originTag } from '../../src/server/provisioning/projects.ts';
import { startBrokerProcess } from '../support/brokerProcess.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { until } from '../support/until.ts';

const day = 86_400_000;
const env = {
  ALLIANCE_PARTNERS__WEST__PROVISION__PROJECTS: '5',
  ALLIANCE_PARTNERS__WEST__PROVISION__ROLES: 'member',
};

describe('projects across clouds', function () {
  this.timeout(60_000);
  let clock: ReturnType<typeof createShiftedClock>;
  let keystone: SandboxKeystone;
  let east: Cloud;
  let west: Cloud;
  let atEast: Partner;
  let atWest: Partner;
  let requests = 0;

  beforeEach(async () => {
    clock = createShiftedClock();
    keystone = await startSandboxKeystone({ region: 'east', clock });
    const pauses = { provisionMs: 3600_000 };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', keystone, env, clock, pauses }),
      startCloud({ cloudId: 'west', clock, pauses }),
    ]);
    ({ atInviter: atEast, atAcceptor: atWest } = await pairClouds(east, west, { role: 'consumer' }));
  });
  afterEach(async () => {
    await stopClouds();
    await keystone.stop();
  });

  const ask = (content: { name?: string; userId?: string; expiresAt?: number } = {}, requestId = `r${++requests}`) =>
    askForProject(west.installation, atWest, requestId, {
      name: 'web',
      userId: null,
      roles: null,
      expiresAt: null,
      ...content,
    });
  const takeBack = (theirs: Provision) => takeBackProject(east.installation, east.broker.keystone!, theirs);
  const round = () => tendProvisions(east.installation, east.broker.keystone!);
  const made = async () => (await east.installation.store.provisions.list({ direction: 'in' })).at(-1)!;
  const projects = () => [...keystone.state.projects.values()].map(({ name }) => name).sort();
  const ours = async () => (await west.installation.store.provisions.list({ direction: 'out' })).at(-1)!;
  const records = ({ installation }: Cloud) => installation.store.audit.list({ kind: 'provisioning' });
  const outcomes = async (cloud = east) => (await records(cloud)).map(({ outcome }) => outcome);
  const notices = async () => (await records(east)).filter(({ outcome }) => outcome === 'removal_announced');

  it('are asked for, found on both sides, and given back', async () => {
    const project = await ask({ userId: 'u1' }, 'first');
    expect(project).to.deep.include({ direction: 'out', state: 'active', roles: ['member'], domainId: 'default' });
    expect(projects()).to.include('web');
    expect(await ask({ userId: 'u1' }, 'first')).to.deep.equal(project);
    await rejection(ask({ userId: 'u2' }, 'first'), 'bad_request');
    const { provisions } = east.installation.store;
    const granted = { projectId: project.projectId, name: 'web', domainId: 'default', roles: ['member'] };
    expect(await provisions.projectsFor(atEast.uid, 'u1', clock.now())).to.deep.equal([granted]);
    expect(await provisions.projectsFor(atEast.uid, 'u2', clock.now())).to.deep.equal([]);
    expect(await provisions.projectsFor(atWest.uid, 'u1', clock.now())).to.deep.equal([]);

    await giveBackProject(
      west.installation,
      atWest,
      await findProvision(west.installation, atWest.cloudId, 'out', 'web'),
    );
    expect(projects()).to.deep.equal(['admin', 'demo']);
    expect(await provisions.projectsFor(atEast.uid, 'u1', clock.now())).to.deep.equal([]);
    await rejection(findProvision(west.installation, atWest.cloudId, 'out', 'web'), 'project_not_found');
    expect(await outcomes()).to.deep.equal(['asked', 'provisioned', 'removal_began', 'removed']);
  });

  it('that are refused are forgotten; those whose answer was lost are asked for again', async () => {
    await rejection(ask({ name: 'admin' }), 'provision_refused');
    expect(await west.installation.store.provisions.list()).to.deep.equal([]);
    keystone.faults.always('down', { match: { path: /projects/ } });
    await rejection(ask({}, 'lost'), 'keystone_unreachable');
    expect(await west.installation.store.provisions.list()).to.have.length(1);
    keystone.faults.clear();
    expect((await ask({}, 'lost')).state).to.equal('active');
    expect(projects()).to.deep.equal(['admin', 'demo', 'web']);
  });

  it('are not forgotten where the answer came and cannot be stored', async () => {
    const database = new Sqlite(join(west.home, 'alliance.db'));
    try {
      database.exec("create trigger full before update on provisions begin select raise(abort, 'full'); end");
      await rejection(ask({}, 'unstored'), 'internal');
      expect(projects()).to.include('web');
      const [open] = await west.installation.store.provisions.list();
      expect(open).to.deep.include({ state: 'creating', requestId: 'unstored' });
      database.exec('drop trigger full');
    } finally {
      database.close();
    }
    // More than an answer may hold: no repeat mends that, while the partner has the project.
    const roles = (names: readonly string[]) => {
      const theirs = new Sqlite(join(east.home, 'alliance.db'));
      theirs.prepare('update provisions set roles = ?').run(JSON.stringify(names));
      theirs.close();
    };
    roles(Array.from({ length: 7000 }, (_, i) => `role-number-${i}`));
    await rejection(ask({}, 'unstored'), 'wire_malformed');
    expect(await west.installation.store.provisions.list()).to.have.length(1);
    roles(['member']);
    expect((await ask({}, 'unstored')).projectId).to.equal((await made()).projectId);
  });

  it('are announced before they expire, and removed at their end', async () => {
    const expiresAt = clock.now() + 10 * day;
    const project = await ask({ expiresAt });
    await round();
    expect(await notices()).to.deep.equal([]);
    clock.advance(10 * day - provisionLimits.noticeMs);
    await round();
    await round();
    const [notice, ...more] = await notices();
    expect(more).to.deep.equal([]);
    expect(notice).to.deep.include({ subject: project.projectId, partner: 'west' });
    expect(removalOf(await made())).to.be.within(expiresAt, expiresAt + 5000);
    expect(projects()).to.include('web');
    clock.advance(provisionLimits.noticeMs);
    expect(await east.installation.store.provisions.projectsFor(atEast.uid, 'u', clock.now())).to.deep.equal([]);
    clock.advance(5000);
    await round();
    expect(projects()).to.deep.equal(['admin', 'demo']);
    expect(await outcomes()).to.deep.equal(['asked', 'provisioned', 'removal_announced', 'removal_began', 'removed']);
  });

  it('are announced and ended by whoever asked for them, too, whatever becomes of the partner', async () => {
    await ask({ expiresAt: clock.now() + 10 * day });
    await ask({ name: 'lasting' });
    keystone.faults.always('down', { match: { path: /projects/ } });
    await rejection(ask({ name: 'unanswered', expiresAt: clock.now() + 10 * day }), 'keystone_unreachable');
    await east.stopBroker();
    const tend = () => tendOwnProjects(west.installation);
    await tend();
    clock.advance(10 * day - provisionLimits.noticeMs);
    await tend();
    await tend();
    const named = async (name: string) =>
      (await west.installation.store.provisions.list()).find(({ asked }) => asked.name === name)!;
    const { state, noticedAt } = await named('web');
    expect([state, noticedAt]).to.satisfy(([is, at]: [string, number]) => is === 'active' && at > clock.now() - 10_000);
    expect((await outcomes(west)).filter((outcome) => outcome === 'removal_announced')).to.have.length(1);
    clock.advance(provisionLimits.noticeMs);
    await tend();
    // The partner has not said so, and the clock may be wrong.
    expect((await named('web')).state).to.equal('active');
    expect((await named('unanswered')).state).to.equal('creating');
    clock.advance(provisionLimits.presumedGoneMs);
    await tend();
    expect((await named('web')).state).to.equal('expired');
    expect((await named('unanswered')).state).to.equal('expired');
    const again = { name: 'web', expiresAt: (await named('web')).asked.expiresAt! };
    const { details } = await rejection(ask(again, (await named('web')).requestId), 'bad_request');
    expect(details).to.contain('provision remove');
    expect(await named('lasting')).to.deep.include({ state: 'active', noticedAt: null });
    expect((await outcomes(west)).slice(-2)).to.deep.equal(['expired', 'expired']);
    await east.startBroker();
  });

  it('that the partner removes by itself end where they were asked for, once the partner was asked', async () => {
    const kept = await ask({ name: 'kept' });
    const project = await ask({});
    const confirm = () => confirmQuietProject(west.installation, atWest);
    const states = async () =>
      (await west.installation.store.provisions.list()).map(({ asked, state }) => `${asked.name} ${state}`);
    await takeBack(await made());
    await confirm();
    expect(await states(), 'too early to ask').to.deep.equal(['kept active', 'web active']);
    clock.advance(provisionLimits.confirmMs);
    await confirm();
    await confirm();
    await confirm();
    expect(await states()).to.deep.equal(['kept active', 'web removed']);
    expect((await records(west)).at(-1)).to.deep.include({ outcome: 'gone', subject: project.projectId });
    expect(projects(), 'asking makes none').to.deep.equal(['admin', 'demo', 'kept']);
    expect((await ask({ name: 'kept' }, kept.requestId)).updatedAt).to.be.greaterThan(kept.updatedAt);
  });

  it('whose answer was lost can be given back, whether they were made or not', async () => {
    const { provisions } = west.installation.store;
    const lose = async (name: string) => {
      keystone.faults.always('down', { match: { method: 'POST', path: /projects/ } });
      await rejection(ask({ name }, `for-${name}`), 'keystone_unreachable');
      keystone.faults.clear();
      return findProvision(west.installation, atWest.cloudId, 'out', `for-${name}`);
    };
    expect(await giveBackProject(west.installation, atWest, await lose('web'))).to.equal('given back');
    expect(await provisions.list({ states: presentStates })).to.deep.equal([]);
    expect(projects()).to.deep.equal(['admin', 'demo']);
    // One that the partner would not make now: there is none, and it is forgotten.
    const refused = await lose('web2');
    const theirs = await findProvision(east.installation, atEast.cloudId, 'in', 'for-web2');
    const { details } = await rejection(takeBack(theirs), 'project_not_found');
    expect(details).to.contain('being made');
    clock.advance(provisionLimits.healMs);
    await takeBack(theirs);
    keystone.state.addProject('web2');
    await giveBackProject(west.installation, atWest, refused);
    expect(await provisions.list({ states: presentStates })).to.deep.equal([]);
    // And where the partner cannot be reached it stays.
    const unreached = await lose('web3');
    keystone.faults.always('down', { match: { method: 'POST', path: /projects/ } });
    await rejection(giveBackProject(west.installation, atWest, unreached), 'keystone_unreachable');
    expect(await ours()).to.include({ state: 'creating' });
  });

  it('that were left half done can be taken back by the side that made them', async () => {
    keystone.faults.always('down', { match: { method: 'POST', path: /projects/ } });
    for (const name of ['never', 'made']) await rejection(ask({ name }, `for-${name}`), 'keystone_unreachable');
    keystone.faults.clear();
    keystone.state.addProject('made', { tags: [originTag({ partnerUid: atEast.uid, requestId: 'for-made' })] });
    clock.advance(provisionLimits.healMs);
    for (const theirs of await east.installation.store.provisions.list()) await takeBack(theirs);
    expect(projects()).to.deep.equal(['admin', 'demo']);
    expect(await east.installation.store.provisions.list({ states: presentStates })).to.deep.equal([]);
  });

  it('of one name are told apart by their ids', async () => {
    const [first, second] = [await ask({}), await ask({ name: 'other' })];
    const database = new Sqlite(join(west.home, 'alliance.db'));
    database.prepare('update provisions set asked = (select asked from provisions where id = ?)').run(first.id);
    database.close();
    const find = (project: string) => findProvision(west.installation, atWest.cloudId, 'out', project);
    await rejection(find('web'), 'bad_request');
    expect((await find(second.projectId!)).id).to.equal(second.id);
    expect((await find(second.requestId)).id).to.equal(second.id);
  });

  it('are not removed without a notice, even where the broker was down when it was due', async () => {
    await ask({ expiresAt: clock.now() + 10 * day });
    clock.advance(20 * day);
    await round();
    expect(await notices()).to.have.length(1);
    expect(removalOf(await made())).to.be.closeTo(clock.now() + provisionLimits.noticeMs, 5000);
    expect(projects()).to.include('web');
    clock.advance(provisionLimits.noticeMs - 1000);
    await round();
    expect(projects()).to.include('web');
    clock.advance(1000);
    await round();
    expect(projects()).to.deep.equal(['admin', 'demo']);
  });

  it('whose removal Keystone does not take are removed later', async () => {
    await ask({ expiresAt: clock.now() + 1000 });
    await round();
    clock.advance(2000);
    keystone.faults.always('500', { match: { method: 'DELETE' } });
    await round();
    expect(await made()).to.deep.include({ state: 'removing', lastError: 'keystone_unreachable' });
    keystone.faults.clear();
    await round();
    expect(await made()).to.deep.include({ state: 'removed', lastError: null });
    expect(projects()).to.deep.equal(['admin', 'demo']);
  });

  it('of a partner that is revoked are switched off at once and removed after a time of grace', async () => {
    const { projectId } = await ask({});
    await endTrust(east.installation, await east.partner('west'), 'revoked');
    keystone.faults.always('503', { match: { method: 'PATCH' } });
    await round();
    expect(await made()).to.include({ state: 'active' });
    keystone.faults.clear();
    await round();
    expect(await made()).to.include({ state: 'off' });
    expect(keystone.state.projects.get(projectId!)!.enabled).to.equal(false);
    expect(await outcomes()).to.deep.equal(['asked', 'provisioned', 'removal_announced', 'switched_off']);
    clock.advance(provisionLimits.graceMs - 5000);
    await round();
    expect(projects()).to.include('web');
    clock.advance(10_000);
    await round();
    expect(projects()).to.deep.equal(['admin', 'demo']);
  });

  it('of a partner that is removed, too, also when it is long forgotten and pairs anew', async () => {
    await ask({});
    await endTrust(east.installation, await east.partner('west'), 'removed');
    clock.advance(40 * day);
    await east.installation.store.prune(clock.now());
    await round();
    expect(await made()).to.include({ state: 'off', cloudId: 'west' });
    clock.advance(provisionLimits.graceMs + 1000);
    await round();
    expect(projects()).to.deep.equal(['admin', 'demo']);
  });

  it('that were left half done are finished, or given up where nothing came of them', async () => {
    const { provisions } = east.installation.store;
    const reserve = (name: string) => {
      const asked = { name, userId: null, roles: null, expiresAt: null };
      const request = {
        direction: 'in',
        requestId: name,
        roles: ['member'],
        domainId: 'default',
        expiresAt: null,
      } as const;
      return provisions.reserve(atEast, { ...request, asked }, 9);
    };
    const states = async () =>
      Object.fromEntries((await provisions.list()).map(({ requestId, state }) => [requestId, state]));
    await Promise.all(['never', 'done'].map(reserve));
    keystone.state.addProject('done', { tags: [originTag({ partnerUid: atEast.uid, requestId: 'done' })] });
    keystone.state.addProject('never');
    await round();
    expect(await states()).to.deep.equal({ never: 'creating', done: 'creating' });
    clock.advance(provisionLimits.healMs);
    await round();
    expect(await states()).to.deep.equal({ never: 'creating', done: 'active' });
    clock.advance(provisionLimits.abandonMs);
    await round();
    expect(await states()).to.deep.equal({ done: 'active' });
    expect(projects()).to.deep.equal(['admin', 'demo', 'done', 'never']);
  });

  /** Kills the broker of east while Keystone holds a request of this kind; `act` is repeated until Keystone has one. */
  async function killWhile(match: { method: string; path: RegExp }, act: () => Promise<unknown>): Promise<void> {
    const broker = await startBrokerProcess(east);
    try {
      keystone.faults.always('hang', { match });
      const hits = keystone.faults.hits;
      let acting = false;
      const start = () => {
        if (acting) return;
        acting = true;
        act()
          .catch(() => undefined)
          .finally(() => {
            acting = false;
          });
      };
      await until(
        'Keystone is asked',
        () => {
          start();
          return keystone.faults.hits > hits;
        },
        15_000,
      );
    } finally {
      await broker.kill();
      keystone.faults.clear();
    }
  }

  it('survive the death of the broker at any instant: the next try finds what is there', async () => {
    const again = () => ask({}, 'killed');
    const eventually = async <T>(act: () => Promise<T>) =>
      until('the broker is back', () => act().catch(() => null), 15_000);
    const making = { method: 'POST', path: /projects/ };
    await east.stopBroker();
    await killWhile({ method: 'GET', path: /roles|domains/ }, again);
    await killWhile(making, again);
    // Now Keystone has it when the broker dies, and the answer never arrives.
    const there = keystone.state.addProject('web', {
      tags: [originTag({ partnerUid: atEast.uid, requestId: 'killed' })],
    });
    await killWhile(making, again);
    await east.startBroker();
    expect((await made()).state).to.equal('creating');
    const project = await eventually(again);
    expect(project.projectId).to.equal(there.id);
    expect(projects()).to.deep.equal(['admin', 'demo', 'web']);

    // And within the removal.
    const giveBack = () => giveBackProject(west.installation, atWest, project);
    await east.stopBroker();
    await killWhile({ method: 'DELETE', path: /projects/ }, giveBack);
    await east.startBroker();
    expect((await made()).state).to.equal('removing');
    // The one that died may have looked after it, too.
    clock.advance(provisionLimits.leaseMs);
    await until('it is removed', async () => {
      await round();
      return !projects().includes('web');
    });
    await eventually(async () => (await giveBack()) ?? true);
  });
});
