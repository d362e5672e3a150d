/** `alliance execution` and `alliance image policy`, on embedded Keystones and Glances. */
import { expect } from 'chai';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { type CommandResult, runCommand } from '../support/commandLine.ts';
import { startImageCloud, type TestCloud } from '../support/imageRegions.ts';
import { putImage } from '../support/imageSync.ts';
import { checked } from '../support/jsonSchema.ts';
import { until } from '../support/until.ts';

interface Listed {
  readonly executions: { id: string; state: string; trigger: string; tasks: number; done: number; failed: number }[];
}

describe('cli/execution', function () {
  this.timeout(60_000);
  let regions: TestCloud;
  let cloud: Cloud;

  before(async () => {
    regions = await startImageCloud('M', 'A', 'B');
  });
  beforeEach(async () => {
    await regions.clear();
    await putImage(regions.region('M'), 'one', 1000);
    await putImage(regions.region('M'), 'two', 2000);
    cloud = await startCloud({
      cloudId: 'east',
      keystone: regions.keystone,
      env: {
        ALLIANCE_IMAGES__MASTER_REGION: 'M',
        ALLIANCE_IMAGES__TARGETS__MASTER__REPLACE: 'any',
        ALLIANCE_IMAGES__POLICIES__NIGHTLY__TRIGGER: '30 2 * * *',
        ALLIANCE_IMAGES__POLICIES__NIGHTLY__TIME_ZONE: 'Europe/Madrid',
        ALLIANCE_IMAGES__POLICIES__NIGHTLY__REGIONS: 'A',
        ALLIANCE_IMAGES__POLICIES__SMALL__ONLY: 'one',
        ALLIANCE_IMAGES__POLICIES__SMALL__CONDITION: 'image.size < 1500',
      },
      pauses: { policyMs: 20 },
    });
  });
  afterEach(() => stopClouds());
  after(() => regions.close());

  const run = (args: string): Promise<CommandResult> =>
    runCommand(args.split(' '), { home: cloud.home, env: cloud.env });
  async function json<T>(name: string, args: string, code = 0): Promise<T> {
    const result = await run(`${args} --json`);
    expect([result.code, result.stderr], result.stdout).to.deep.equal([code, '']);
    return checked<T & object>(name, JSON.parse(result.stdout));
  }
  const listed = async () => (await json<Listed>('execution-list', 'execution list')).executions;
  const namesIn = async (region: string) => [...(await regions.region(region).images()).keys()].sort();
  /** Lines of a run with --json, each as the schema says; the last one is the report. */
  async function events(name: string, args: string, code: number) {
    const result = await run(`${args} --json`);
    expect(result.code, result.stderr).to.equal(code);
    const lines = result.stdout.trimEnd().split('\n');
    return lines.map((line) => checked(name, JSON.parse(line)));
  }

  it('a policy runs here when asked to, and its execution is listed, shown and logged', async () => {
    const before = await run('execution list');
    expect([before.code, before.stdout]).to.deep.equal([0, 'No executions.\n']);
    const done = await run('image policy run nightly');
    expect([done.code, await namesIn('A'), await namesIn('B')]).to.deep.equal([0, ['one', 'two'], []]);
    expect(done.stdout).to.match(/^RESULT +ACTION +REGION +IMAGE/);
    const [execution] = await listed();
    expect(execution).to.include({ trigger: 'policy:nightly', state: 'done', tasks: 2, done: 2, failed: 0 });
    const { id } = execution!;
    expect((await run('execution list --state failed')).stdout).to.equal('No executions.\n');
    expect((await run('execution list --region A --trigger policy:nightly')).stdout).to.match(
      new RegExp(`^ID +STATE.*\\n${id} +done +policy:nightly +M -> A +.* 2 of 2\\n$`),
    );
    const details = await json<{ images: object[]; region_states: object[] }>('execution-show', `execution show ${id}`);
    expect(details.images).to.have.length(2);
    expect(details.region_states[0]).to.include({ region: 'A', state: 'done' });
    const shown = await run(`execution show ${id.slice(0, 8)}`);
    expect(shown.stdout)
      .to.match(/images +2 of 2 done/)
      .and.to.match(/done +upload +A +one +1000/);
    const log = await run(`execution logs ${id} --follow`);
    expect(log.stdout)
      .to.match(/^\S+Z began, for A\n/)
      .and.to.match(/Z A two: done \(0\.0 MiB\)\n.*ended: done/s);
    for (const line of (await run(`execution logs ${id} --json`)).stdout.trimEnd().split('\n'))
      checked('execution-logs', JSON.parse(line));
    const policies = await json<{ policies: object[] }>('image-policy-list', 'image policy list');
    expect(policies.policies[0]).to.deep.include({ name: 'nightly', disabled: false, regions: ['A'], due_since: null });
    expect(policies.policies[0]).to.have.nested.property('last_execution.id', id);
    expect((await run('image policy list')).stdout).to.match(
      /nightly +enabled +30 2 \* \* \* Europe\/Madrid +M -> A +20.*done/,
    );
  });

  it('a policy is left to the broker, switched off and on', async () => {
    expect(await json('image-policy-run', 'image policy run small --background')).to.deep.equal({
      ...{ event: 'asked', policy: 'small' },
    });
    await until('the broker ran it', async () => (await listed()).some(({ state }) => state === 'done'));
    expect([await namesIn('A'), await namesIn('B')]).to.deep.equal([['one'], ['one']]);
    expect(await json('image-policy-disable', 'image policy disable small')).to.deep.equal({
      ...{ policy: 'small', disabled: true },
    });
    expect((await run('image policy list')).stdout).to.match(/small +disabled/);
    expect(await json('image-policy-enable', 'image policy enable small')).to.include({ disabled: false });
    const unknown = await run('image policy run weekly');
    expect([unknown.code, unknown.stderr]).to.satisfy(
      ([code, text]: [number, string]) => code === 2 && text.includes('there are: nightly, small'),
    );
    expect((await run('image policy disable weekly')).code).to.equal(2);
  });

  it('a policy that runs is not run a second time', async () => {
    const { faults } = regions.region('M').glance;
    faults.next({ method: 'GET', path: /\/file$/, kind: 'slow', delayMs: 1500 });
    await run('image policy run nightly --background');
    await until('it runs', async () => (await listed()).some(({ state }) => state === 'running'));
    const second = await run('image policy run nightly --json');
    expect([second.code, JSON.parse(second.stderr).error?.name ?? JSON.parse(second.stderr).name]).to.deep.equal([
      ...[1, 'sync_running'],
    ]);
    await until('its end', async () => (await listed()).every(({ state }) => state === 'done'));
  });

  it('retry sends only what failed, and approve what a guard stopped', async () => {
    regions.region('A').glance.quota.bytes = 1500;
    const first = await events('image-policy-run', 'image policy run nightly', 3);
    expect(first.at(-1)).to.include({ event: 'ended', state: 'partly' });
    regions.region('A').glance.quota.bytes = Number.POSITIVE_INFINITY;
    const [partly] = await listed();
    expect((await run(`execution approve ${partly!.id}`)).code).to.equal(2);
    const status = await json<{ attention: { kind: string; remedy: string }[] }>('status', 'status', 1);
    expect(status.attention.map(({ kind }) => kind)).to.deep.equal(['sync']);
    expect(status.attention[0]?.remedy).to.contain(`alliance execution retry ${partly!.id}`);
    await putImage(regions.region('M'), 'three', 30);
    const second = await events('execution-retry', `execution retry ${partly!.id}`, 0);
    expect(second.at(-1)).to.include({ state: 'done' });
    expect(await namesIn('A')).to.deep.equal(['one', 'two']);
    const [retried] = await listed();
    expect(retried).to.include({ trigger: 'policy:nightly', tasks: 1, done: 1 });
    expect((await json<{ attention: object[] }>('status', 'status')).attention).to.deep.equal([]);
    const nothing = await run(`execution retry ${retried!.id}`);
    expect([nothing.code, nothing.stderr]).to.deep.equal([0, 'Nothing of it failed: it has ended as done.\n']);

    for (const { id } of (await regions.region('M').images()).values()) await regions.region('M').store.delete(id);
    const guarded = await run('image policy run nightly');
    expect(guarded.code, guarded.stderr).to.equal(1);
    const [stopped] = await listed();
    expect(stopped).to.include({ state: 'stopped' });
    const refused = await run(`execution retry ${stopped!.id}`);
    expect([refused.code, refused.stderr]).to.satisfy(
      ([code, text]: [number, string]) => code === 2 && text.includes(`alliance execution approve ${stopped!.id}`),
    );
    const approved = await events('execution-approve', `execution approve ${stopped!.id}`, 0);
    expect(approved.at(-1)).to.include({ state: 'done' });
  });

  it('stop ends one that another process runs', async () => {
    await putImage(regions.region('M'), 'big', 3_000_000);
    cloud.env.ALLIANCE_IMAGES__POLICIES__NIGHTLY__BWLIMIT = '50K';
    await cloud.stopBroker();
    await cloud.startBroker();
    await run('image policy run nightly --background');
    const id = await until('it runs', async () => (await listed()).find(({ state }) => state === 'running')?.id);
    expect((await run(`execution retry ${id}`)).stderr).to.contain('still running');
    expect(await json('execution-stop', `execution stop ${id}`)).to.deep.equal({ id, asked: true, state: 'running' });
    expect((await run('execution list')).stdout).to.contain('running (asked to stop)');
    await until('its end', async () => (await listed())[0]?.state === 'stopped');
    const late = await run(`execution stop ${id}`);
    expect([late.code, late.stdout]).to.deep.equal([3, `execution ${id} has ended: stopped\n`]);
    expect((await run(`execution show ${id}`)).stdout).to.match(/because +.*Somebody asked it to stop/);
  });

  it('says so where there is none of an id', async () => {
    for (const command of ['show', 'logs', 'stop', 'approve', 'retry']) {
      const { code, stderr } = await run(`execution ${command} 00000000`);
      expect([code, stderr]).to.satisfy(
        ([exit, text]: [number, string]) => exit === 2 && text.includes('There is no execution "00000000"'),
      );
    }
  });

  it('knows the runs of syncs without a broker, too', async () => {
    const env = { ...regions.env, HOME: `${cloud.home}/user`, XDG_STATE_HOME: `${cloud.home}/state` };
    const bare = (args: string) => runCommand(args.split(' '), { env });
    expect((await bare('image sync B')).code).to.equal(0);
    const found = await bare('execution list --json');
    const [execution] = checked<Listed & object>('execution-list', JSON.parse(found.stdout)).executions;
    expect(execution).to.include({ trigger: 'manual', state: 'done', tasks: 2 });
    expect((await bare(`execution logs ${execution!.id}`)).stdout).to.contain('B two: done');
    expect((await bare(`execution retry ${execution!.id}`)).code).to.equal(0);
  });
});
