/** Policies of a running broker, between regions of embedded Glances. */
import { expect } from 'chai';
import { imagePolicyLimits } from '../../src/core/limits.ts';
import type { Execution } from '../../src/model/execution.ts';
import { createShiftedClock, type ShiftedClock } from '../support/clock.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { startImageCloud, type TestCloud } from '../support/imageRegions.ts';
import { putImage } from '../support/imageSync.ts';
import { until } from '../support/until.ts';

const hourMs = 3600_000;

describe('broker/imagePolicies', function () {
  this.timeout(30_000);
  let regions: TestCloud;
  let clock: ShiftedClock;

  before(async () => {
    regions = await startImageCloud('M', 'A', 'B');
  });
  beforeEach(async () => {
    await regions.clear();
    clock = createShiftedClock();
    await putImage(regions.region('M'), 'one', 1000);
  });
  afterEach(() => stopClouds());
  after(() => regions.close());

  const start = (policy: Record<string, string>, more: Record<string, string> = {}): Promise<Cloud> => {
    const keys = Object.entries(policy).map(([key, value]) => [`ALLIANCE_IMAGES__POLICIES__P__${key}`, value] as const);
    const env = { ALLIANCE_IMAGES__MASTER_REGION: 'M', ...more, ...Object.fromEntries(keys) };
    return startCloud({ cloudId: 'east', keystone: regions.keystone, clock, env, pauses: { policyMs: 10 } });
  };
  const storeOf = (cloud: Cloud) => cloud.installation.store;
  const executions = (cloud: Cloud) => storeOf(cloud).executions.list({ trigger: 'policy:p' });
  const ended = (cloud: Cloud, count: number): Promise<readonly Execution[]> =>
    until(`${count} executions`, async () => {
      const all = await executions(cloud);
      const list = all.filter(({ state }) => state !== 'running');
      return list.length >= count && list.length === all.length && list;
    });
  const namesIn = async (region: string) => [...(await regions.region(region).images()).keys()].sort();
  const known = (cloud: Cloud) => until('the policy is known', () => storeOf(cloud).policies.get('p'));

  it('runs by the clock, each time once, and says what it did', async () => {
    const cloud = await start({ TRIGGER: '0 * * * *', REGIONS: 'B', TIME_ZONE: 'Europe/Madrid' });
    const { seenTill } = await known(cloud);
    const nextHour = Math.ceil((seenTill + 1) / hourMs) * hourMs;
    expect(await executions(cloud)).to.deep.equal([]);
    clock.advance(nextHour - clock.now() + 1);
    const [first] = (await ended(cloud, 1)) as [Execution];
    expect(first).to.deep.include({ state: 'done', source: 'M', regions: ['B'], failure: null });
    expect([await namesIn('B'), await namesIn('A')]).to.deep.equal([['one'], []]);
    const state = await until('it is noted', async () => {
      const found = await storeOf(cloud).policies.get('p');
      return found?.lastExecution === first.id && found;
    });
    expect([state.due, state.skippedAt]).to.deep.equal([null, null]);
    const texts = (await storeOf(cloud).executionLog.read(first.id, 0)).map(({ region, image, text }) => [
      region,
      image,
      text,
    ]);
    expect(texts).to.deep.include.members([
      [null, null, 'began, for B'],
      ['B', 'one', 'done (0.0 MiB)'],
      [null, null, 'ended: done (0.0 MiB)'],
    ]);
    expect(await cloud.metric('alliance_image_executions_total', { result: 'done' })).to.equal(1);
    expect(await cloud.metric('alliance_image_tasks_total', { region: 'B', result: 'done' })).to.equal(1);
    expect(await cloud.metric('alliance_image_bytes_total', { region: 'B' })).to.equal(1000);
    expect(await cloud.metric('alliance_image_executions_running')).to.equal(0);
    await storeOf(cloud).policies.ask('p', 'manual', clock.now());
    expect((await ended(cloud, 2)).map(({ state: each }) => each)).to.deep.equal(['done', 'done']);
  });

  it('makes up for times that passed while nobody ran, once', async () => {
    const cloud = await start({ TRIGGER: '*/10 * * * *' });
    await known(cloud);
    await cloud.stopBroker();
    clock.advance(5 * hourMs);
    await cloud.startBroker();
    await ended(cloud, 1);
    const { seenTill } = (await storeOf(cloud).policies.get('p'))!;
    expect(seenTill).to.be.greaterThan(clock.now() - 60_000);
    await storeOf(cloud).policies.ask('p', 'manual', clock.now());
    expect(await ended(cloud, 2)).to.have.length(2);
    expect([await namesIn('A'), await namesIn('B')]).to.deep.equal([['one'], ['one']]);
  });

  it('of several brokers on one database one runs it', async () => {
    const cloud = await start({ TRIGGER: '0 0 1 1 *' });
    await known(cloud);
    const { startBroker } = await import('../../src/broker/broker.ts');
    const { home, env } = cloud;
    const second = await startBroker({
      ...{ home, env, clock, pauses: { policyMs: 10 } },
      listen: { tls: null, tcp: null, http: { host: '127.0.0.1', port: 0 } },
    });
    try {
      for (let i = 1; i <= 5; i++) {
        await storeOf(cloud).policies.ask('p', 'cron', clock.now());
        const list = await ended(cloud, i);
        expect(list).to.have.length(i);
        await until('it is over', async () => !(await storeOf(cloud).policies.get('p'))?.due);
      }
    } finally {
      await second.stop();
    }
  });

  it('follows what happens at the source, and tries again what failed', async () => {
    const cloud = await start({ TRIGGER: 'event', REGIONS: 'A' });
    await until('a baseline', () => storeOf(cloud).policies.baseline('p'));
    const tick = () => clock.advance(imagePolicyLimits.eventMs + 1);
    expect(await executions(cloud)).to.deep.equal([]);
    await putImage(regions.region('M'), 'two', 2000);
    tick();
    await ended(cloud, 1);
    expect(await namesIn('A')).to.deep.equal(['one', 'two']);
    const before = (await storeOf(cloud).policies.get('p'))!.seenTill;
    tick();
    await until('another look', async () => (await storeOf(cloud).policies.get('p'))!.seenTill > before);
    expect(await executions(cloud)).to.have.length(1);

    regions.region('A').glance.quota.bytes = 1;
    await putImage(regions.region('M'), 'three', 3000);
    tick();
    const [failed] = (await ended(cloud, 2)) as [Execution];
    expect(failed.state).to.equal('failed');
    clock.advance(imagePolicyLimits.eventRetryMs);
    expect(((await ended(cloud, 3)) as [Execution])[0].state).to.equal('failed');
    regions.region('A').glance.quota.bytes = Number.POSITIVE_INFINITY;
    const seen = (await storeOf(cloud).policies.get('p'))!.seenTill;
    clock.advance(imagePolicyLimits.eventRetryMs);
    await until('a look', async () => (await storeOf(cloud).policies.get('p'))!.seenTill > seen);
    expect(await executions(cloud)).to.have.length(3);
    clock.advance(imagePolicyLimits.eventRetryMs);
    const [again] = (await ended(cloud, 4)) as [Execution];
    expect([again.state, await namesIn('A')]).to.deep.equal(['done', ['one', 'three', 'two']]);
  });

  it('one that is switched off waits until it is asked, and counts from when it is switched on', async () => {
    const cloud = await start({ TRIGGER: '0 * * * *', REGIONS: 'A' });
    await known(cloud);
    await storeOf(cloud).policies.setDisabled('p', true);
    clock.advance(3 * hourMs);
    await storeOf(cloud).policies.ask('p', 'manual', clock.now());
    expect(await ended(cloud, 1)).to.have.length(1);
    await storeOf(cloud).policies.setDisabled('p', false);
    await until(
      'it counts anew',
      async () => (await storeOf(cloud).policies.get('p'))!.seenTill > clock.now() - 60_000,
    );
    expect(await executions(cloud)).to.have.length(1);
    clock.advance(hourMs);
    await ended(cloud, 2);
  });

  for (const overlap of ['skip', 'queue'] as const)
    it(`what is due while it runs: ${overlap}`, async () => {
      const cloud = await start({ TRIGGER: '0 * * * *', REGIONS: 'A', OVERLAP: overlap });
      await known(cloud);
      const { faults } = regions.region('M').glance;
      faults.next({ method: 'GET', path: /\/file$/, kind: 'slow', delayMs: 1500 });
      await storeOf(cloud).policies.ask('p', 'manual', clock.now());
      await until('it runs', async () => (await executions(cloud)).some(({ state }) => state === 'running'));
      clock.advance(hourMs);
      const state = await until('it is noticed', async () => {
        const found = (await storeOf(cloud).policies.get('p'))!;
        return (found.skippedAt !== null || found.due !== null) && found;
      });
      expect([state.skippedAt !== null, state.due?.reason ?? null]).to.deep.equal(
        overlap === 'skip' ? [true, null] : [false, 'cron'],
      );
      expect(await ended(cloud, overlap === 'skip' ? 1 : 2)).to.have.length(overlap === 'skip' ? 1 : 2);
    });

  it('a broker that stops ends its runs, and goes on with them when it starts again', async () => {
    await putImage(regions.region('M'), 'big', 3_000_000);
    const cloud = await start({ TRIGGER: 'manual', REGIONS: 'A' }, { ALLIANCE_IMAGES__BWLIMIT: '100K' });
    await storeOf(cloud).policies.ask('p', 'manual', clock.now());
    await until('it sends', async () => (await cloud.metric('alliance_image_executions_running')) === 1);
    const startedAt = performance.now();
    await cloud.stopBroker();
    expect(performance.now() - startedAt).to.be.lessThan(imagePolicyLimits.stopMs);
    const second = await cloud.openSecond();
    const [stopped] = await second.store.executions.list({ trigger: 'policy:p' });
    expect(stopped).to.include({ state: 'stopped' });
    expect((await second.store.policies.get('p'))?.due?.reason).to.equal('manual');
    delete cloud.env.ALLIANCE_IMAGES__BWLIMIT;
    await cloud.startBroker();
    await ended(cloud, 2);
    expect(await namesIn('A')).to.deep.equal(['big', 'one']);
  });

  it('what cannot even begin is an execution that says why', async () => {
    const cloud = await start({ TRIGGER: 'manual', REGIONS: 'nowhere' });
    await known(cloud);
    await storeOf(cloud).policies.ask('p', 'manual', clock.now());
    const [failed] = (await ended(cloud, 1)) as [Execution];
    expect(failed).to.deep.include({ state: 'failed', regions: ['nowhere'] });
    expect(failed.failure).to.include({ name: 'bad_request' });
    expect(failed.failure?.reason).to.contain('There is no region "nowhere"');
    expect((await storeOf(cloud).policies.get('p'))?.due).to.equal(null);
  });

  it('its selection: names, a condition of its own', async () => {
    for (const name of ['two', 'three']) await putImage(regions.region('M'), name, 10);
    const cloud = await start({ REGIONS: 'A,B', ONLY: 'two,one', CONDITION: "image.name != 'one'", PARALLEL: '2' });
    await known(cloud);
    await storeOf(cloud).policies.ask('p', 'manual', clock.now());
    const [done] = (await ended(cloud, 1)) as [Execution];
    expect([done.state, done.options.parallel, done.options.only]).to.deep.equal(['done', 2, ['two', 'one']]);
    expect([await namesIn('A'), await namesIn('B')]).to.deep.equal([['two'], ['two']]);
  });

  it('a reload takes over what changes, and refuses what is none, with nothing changed', async () => {
    const cloud = await start({ TRIGGER: 'manual', REGIONS: 'nowhere' });
    await known(cloud);
    cloud.env.ALLIANCE_IMAGES__POLICIES__P__CONDITION = 'image.size <';
    expect((await rejection(cloud.broker.reload(), 'configuration')).details).to.contain('images.policies.p.condition');
    cloud.env.ALLIANCE_IMAGES__POLICIES__P__CONDITION = 'image.size < 5000';
    cloud.env.ALLIANCE_IMAGES__POLICIES__P__REGIONS = 'B';
    cloud.env.ALLIANCE_IMAGES__POLICIES__P__TRIGGER = '* * * * *';
    await cloud.broker.reload();
    await until('the new trigger', async () => (await storeOf(cloud).policies.get('p'))?.trigger.includes('* *'));
    clock.advance(61_000);
    await ended(cloud, 1);
    expect(await namesIn('B')).to.deep.equal(['one']);
  });
});
