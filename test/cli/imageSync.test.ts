/** `alliance image` on real regions: embedded Keystones and Glances, found by their catalogs. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { startImageCloud, type TestCloud } from '../support/imageRegions.ts';
import { putImage } from '../support/imageSync.ts';
import { checked } from '../support/jsonSchema.ts';

describe('cli/imageSync', function () {
  this.timeout(60_000);
  const directory = temporaryDirectory();
  const conf = directory.file('glancesync.conf');
  let here: TestCloud;
  let other: TestCloud;
  let n = 0;

  const run = (args: string, env: Record<string, string> = {}) =>
    runCommand(['image', ...args.split(' ')], {
      env: { ...here.env, XDG_STATE_HOME: directory.file(`state-${n}`), ...env },
    });
  const withConf = (args: string) => run(`${args} --glancesync-config ${conf}`);
  const lines = (text: string): Record<string, unknown>[] =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  before(async () => {
    [here, other] = await Promise.all([startImageCloud('M', 'A', 'B'), startImageCloud('C', 'D')]);
    writeFileSync(
      conf,
      `[main]\nmaster_region = M\n[master]\nreplace = any\n[other]\ncredential = ${other.credential}\nignore_regions = D\nreplace = any\n`,
    );
  });
  beforeEach(async () => {
    // What an earlier test remembers of listings is of no account here.
    n += 1;
    await Promise.all([here.clear(), other.clear()]);
    const kernel = await putImage(here.region('M'), 'aki', 3000);
    await putImage(here.region('M'), 'ami', 500, { properties: new Map([['kernel_id', kernel.id]]) });
    await putImage(here.region('M'), 'big', 2_500_000, { properties: new Map([['type', 'x']]) });
    await putImage(here.region('M'), 'own', 10, { visibility: 'private' });
  });
  after(async () => {
    await Promise.all([here?.close(), other?.close()]);
    directory.remove();
  });

  it('OS_* alone is enough: all regions of this cloud, and a second run has nothing to do', async () => {
    const plan = await run('status --format csv');
    expect([plan.code, plan.stderr]).to.deep.equal([0, '']);
    expect(plan.stdout).to.equal(
      ['A', 'B'].map((r) => `${['ami', 'aki', 'big'].map((i) => `pending_upload,${r},${i}\r\n`).join('')}\n`).join(''),
    );
    const first = await run('sync --parallel 2');
    expect([first.code, first.stdout]).to.satisfy(
      ([code, text]: [number, string]) => code === 0 && /^RESULT +ACTION +REGION/.test(text),
      first.stderr,
    );
    for (const name of ['A', 'B']) {
      const images = await here.region(name).images();
      expect([...images.keys()].sort()).to.deep.equal(['aki', 'ami', 'big']);
      expect(images.get('ami')!.properties.get('kernel_id')).to.equal(images.get('aki')!.id);
    }
    const before = here.region('A').glance.requests.length;
    const second = await run('sync');
    expect([second.code, second.stdout]).to.deep.equal([0, '']);
    const changing = here
      .region('A')
      .glance.requests.slice(before)
      .filter(({ method }) => method !== 'GET');
    expect(changing).to.deep.equal([]);
    expect((await run('diff')).stdout).to.equal('');
    expect(readdirSync(directory.file(`state-${n}/alliance`))).to.include('images.db');
  });

  it('regions: of all clouds, in the words of commands', async () => {
    const { code, stdout } = await withConf('regions --format csv');
    expect([code, stdout]).to.deep.equal([0, 'M A B other:C other:D\n']);
    const { regions, master } = checked<{ regions: object[]; master: string }>(
      'image-regions',
      JSON.parse((await withConf('regions --json')).stdout),
    );
    expect([master, regions[3]]).to.deep.equal(['M', { name: 'other:C', kind: 'keystone', endpoints: 1 }]);
    expect((await withConf('regions')).stdout).to.match(/^REGION +KIND +ENDPOINTS +MASTER\nM +keystone +1 +yes\n/);
  });

  it('a region whose name would be taken for that of a target is none', async () => {
    const odd = await startImageCloud('M', 'a:b', 'a:b:c');
    try {
      const { code, stdout } = await run('regions --format csv', { ...odd.env });
      expect([code, stdout]).to.deep.equal([0, 'M a:b:c\n']);
    } finally {
      await odd.close();
    }
  });

  it('a target with a login of its own; its ignored region only by name', async () => {
    expect((await withConf('sync other: --only big')).code).to.equal(0);
    expect([...(await other.region('C').images()).keys()]).to.deep.equal(['big']);
    expect((await other.region('D').images()).size).to.equal(0);
    expect((await withConf('sync other:D A')).code).to.equal(0);
    expect((await other.region('D').images()).size).to.equal(3);
    // And from there to here.
    await putImage(other.region('C'), 'theirs', 100);
    const back = await withConf('sync B --from other:C --json');
    expect(back.code, back.stderr).to.equal(0);
    expect([...(await here.region('B').images()).keys()].sort()).to.deep.equal(['big', 'theirs']);
  });

  it('a dry run changes nothing, and says what would be sent', async () => {
    const count = () => here.region('A').glance.requests.filter(({ method }) => method !== 'GET').length;
    const before = count();
    const { code, stdout } = await run('sync A --dry-run --only ami --json');
    const found = checked<{ dry_run: boolean; in_sync: boolean; regions: { actions: { name: string }[] }[] }>(
      'image-sync',
      JSON.parse(stdout),
    );
    expect([code, found.dry_run, found.in_sync, count()]).to.deep.equal([0, true, false, before]);
    expect(found.regions[0]!.actions.map(({ name }) => name).sort()).to.deep.equal(['aki', 'ami']);
  });

  it('--json: one event a line, the last one the report', async () => {
    const { code, stdout, stderr } = await run('sync A --json');
    expect([code, stderr]).to.deep.equal([0, '']);
    const events = lines(stdout);
    for (const event of events) checked('image-sync-event', event);
    const kinds = events.map(({ event }) => event);
    expect([kinds[0], kinds.at(-1)]).to.deep.equal(['started', 'ended']);
    expect(kinds.filter((kind) => kind === 'task_ended')).to.have.length(3);
    expect(events.at(-1)).to.deep.include({ state: 'done', in_sync: true, master: 'M' });
  });

  it('--log-dir: a log for each region', async () => {
    const logs = directory.file('logs');
    expect((await withConf(`sync A other: --log-dir ${logs}`)).code).to.equal(0);
    expect(readdirSync(logs).sort()).to.deep.equal(['A.txt', 'other:C.txt']);
    const log = readFileSync(`${logs}/A.txt`, 'utf8');
    expect(log).to.match(/^\d{4}-\d\d-\d\dT[\d:]+Z INFO began/);
    expect(log).to.match(/ INFO big: done/);
    const failed = await run(`sync A --log-dir ${conf}/x --json`);
    expect([failed.code, JSON.parse(failed.stderr).name]).to.deep.equal([1, 'file_not_written']);
  });

  it('one region that fails leaves the others; the exit code tells', async () => {
    const broken = () => {
      for (let i = 0; i < 200; i++) here.region('A').glance.faults.next({ kind: 'status', status: 500, times: 1 });
    };
    broken();
    const some = await run('status A B --format csv');
    expect([some.code, some.stdout.includes('A,')]).to.deep.equal([3, false]);
    expect(some.stderr).to.match(/A: nothing can be planned/);
    broken();
    const sync = await run('sync A B --json');
    expect(sync.code).to.equal(3);
    expect((await here.region('B').images()).size).to.equal(3);
    const report = lines(sync.stdout).at(-1) as { regions: { region: string; state: string }[] };
    expect(report.regions.map(({ region, state }) => [region, state])).to.deep.equal([
      ['A', 'failed'],
      ['B', 'done'],
    ]);
    here.region('A').glance.faults.clear();
    broken();
    expect((await run('sync A')).code).to.equal(1);
  });

  it('what a sync does not mend is told', async () => {
    await putImage(other.region('C'), 'big', 77);
    const plain = await run(`sync other:C --config replace= --glancesync-config ${conf}`);
    expect(plain.code, plain.stderr).to.equal(0);
    await putImage(here.region('A'), 'big', 77);
    const left = await run('sync A');
    expect(left.code).to.equal(3);
    expect(left.stdout).to.match(/^error_checksum +- +A +big/m);
    expect((await here.region('A').images()).get('big')!.sizeBytes).to.equal(77);
    expect((await run('sync A --only nothing')).code).to.equal(3);
    expect((await run('sync A --max-bytes 1K --only ami --config replace=any')).code).to.equal(0);
  });

  it('a condition that fails for an image is told, and is not in sync', async () => {
    const { code, stderr } = await run("sync A --config metadata_condition=image.user_properties['type']=='x'");
    expect([code, stderr]).to.satisfy(
      ([c, text]: [number, string]) => c === 3 && /A: aki: condition_failed/.test(text),
      stderr,
    );
    expect([...(await here.region('A').images()).keys()]).to.deep.equal(['big']);
  });

  it('--max-bytes: what does not fit is skipped', async () => {
    const { code, stdout } = await run('sync A --max-bytes 1M');
    expect(code).to.equal(3);
    expect(stdout).to.match(/^skipped +upload +A +big/m);
    expect([...(await here.region('A').images()).keys()].sort()).to.deep.equal(['aki', 'ami']);
  });

  it('a listing that has shrunk stops it, unless somebody says that it is meant', async () => {
    expect((await run('sync A')).code).to.equal(0);
    for (const { id } of (await here.region('A').images()).values()) await here.region('A').store.delete(id);
    const stopped = await run('sync A');
    expect([stopped.code, stopped.stderr]).to.satisfy(
      ([code, text]: [number, string]) => code === 1 && /lists none of our images[\s\S]*--yes/.test(text),
      stopped.stderr,
    );
    expect((await here.region('A').images()).size).to.equal(0);
    expect((await run('sync A --yes')).code).to.equal(0);
    expect((await here.region('A').images()).size).to.equal(3);
  });

  it('--compat glancesync: a small AMI has no kernel before the second run, as ever; but no id that is none', async () => {
    expect((await run('sync A --compat glancesync')).code).to.equal(0);
    const ami = async () => (await here.region('A').images()).get('ami')!;
    expect((await ami()).properties.get('kernel_id')).to.equal(undefined);
    expect((await run('status A --compat glancesync --format csv')).stdout).to.contain('pending_metadata,A,ami');
    expect((await run('sync A --compat glancesync')).code).to.equal(0);
    expect((await ami()).properties.get('kernel_id')).to.equal((await here.region('A').images()).get('aki')!.id);
  });

  it('orphans: what only the region has', async () => {
    await run('sync A');
    await putImage(here.region('A'), 'alone', 50);
    const content = Buffer.from('the same');
    await putImage(here.region('M'), 'one name', content);
    await putImage(here.region('A'), 'another name', content);
    const { code, stdout } = await run('orphans A --json');
    const { regions } = checked<{ regions: { images: { name: string; unfinished: boolean }[] }[] }>(
      'image-orphans',
      JSON.parse(stdout),
    );
    expect(code).to.equal(0);
    expect(regions[0]!.images.map(({ name, unfinished }) => [name, unfinished])).to.deep.equal([['alone', false]]);
    expect((await run('orphans A')).stdout).to.match(/^REGION +IMAGE +ID +STATUS +BYTES\nA +alone /);
  });

  it('backup: listings of real regions are a scenario with the same plan', async () => {
    const saved = directory.file('saved');
    expect((await withConf(`backup A other: --to ${saved}`)).code).to.equal(0);
    expect(readdirSync(saved).sort()).to.deep.equal(['backup_A.csv', 'backup_M.csv', 'backup_other:C.csv']);
    const projectId = [...(await here.region('M').images()).values()][0]!.owner;
    const scenario = await run(`status A --scenario ${saved} --config tenant_id=${projectId} --format csv`);
    expect(scenario.stdout).to.equal((await run('status A --format csv')).stdout);
  });

  it('says what is wrong with what was asked for', async () => {
    const says = async (args: string, code: number, text: RegExp): Promise<void> => {
      const found = await withConf(args);
      expect([found.code, found.stderr]).to.satisfy(
        ([c, t]: [number, string]) => c === code && text.test(t),
        found.stderr,
      );
    };
    await says('status Z', 2, /no region "Z"; there are: M, A, B/);
    await says('status third:', 2, /no target "third"/);
    await says('sync --from other', 2, /other has not one region; there are: other:C, other:D/);
    await says('sync A --scenario-out x', 2, /goes with --scenario/);
    await says('sync A --bwlimit fast', 2, /MiB\/s/);
    await says('sync A --max-bytes many', 2, /number of bytes/);
    const none = await runCommand(['image', 'status'], { env: { HOME: directory.file('nobody') } });
    expect([none.code, none.stderr]).to.satisfy(([, text]: [number, string]) => /OS_AUTH_URL/.test(text));
    expect(existsSync(directory.file('nobody'))).to.equal(false);
  });
});
