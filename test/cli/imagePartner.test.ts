/** `alliance image` with a partner at the other end, and with what alliance.yaml says. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { startGlance } from '../../src/sandbox/glance.ts';
import { startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { createImageApi, type ImageApi } from '../support/imageApi.ts';
import { checked } from '../support/jsonSchema.ts';
import { type ServedCloud, serveBeside, startService } from '../support/servedCloud.ts';
import { until } from '../support/until.ts';

interface Side {
  readonly cloud: ServedCloud;
  readonly images: ImageApi;
  readonly projectId: string;
  close(): Promise<void>;
}

async function openSide(cloudId: string): Promise<Side> {
  const keystone = await startSandboxKeystone({ region: `${cloudId}-1` });
  const glance = await startGlance({ keystone });
  const cloud = await serveBeside(cloudId, keystone);
  const projectId = [...keystone.state.projects.values()].find(({ name }) => name === 'admin')!.id;
  const close = async () => {
    await cloud.stop();
    await glance.close();
  };
  return { cloud, images: await createImageApi(glance.url, keystone), projectId, close };
}

describe('cli/imagePartner', function () {
  this.timeout(120_000);
  let east: Side;
  let west: Side;
  const image = (args: string) => west.cloud.quick(`image ${args}`);
  const named = async ({ images }: Side) => new Map((await images.list()).map((each) => [each.name, each]));

  before(async () => {
    [east, west] = await Promise.all([openSide('east'), openSide('west')]);
    const mayDo = { read: true, write: true, project: east.projectId, quota_gib: 1, quota_images: 10 };
    east.cloud.configure({ partners: { west: { images: mayDo } } });
    await east.cloud.serve();
    const { stdout: token } = await east.cloud.quick('partner invite --approve --role both');
    expect((await west.cloud.quick('partner accept -', { input: token })).code).to.equal(0);
    await west.images.make({ name: 'ours', content: randomBytes(300_000), attributes: { os_distro: 'debian' } });
    await west.images.make({ name: 'small', content: randomBytes(10) });
    await east.images.make({ name: 'theirs', content: randomBytes(1000) });
  });
  after(async () => {
    await Promise.all([east?.close(), west?.close()]);
  });

  it('regions: those of this cloud and of the partner', async () => {
    const { code, stdout } = await image('regions --json');
    const found = checked<{ regions: object[] }>('image-regions', JSON.parse(stdout));
    expect(code).to.equal(0);
    expect(found.regions).to.deep.equal([
      { name: 'west-1', kind: 'keystone', endpoints: 1 },
      { name: 'east:east-1', kind: 'partner', endpoints: 1 },
    ]);
  });

  it('a sync to the partner, as far as it lets us; a second one has nothing to do', async () => {
    const before = await image('status east: --format csv');
    expect([before.code, before.stdout]).to.deep.equal([
      0,
      'pending_upload,east:east-1,small\r\npending_upload,east:east-1,ours\r\n\n',
    ]);
    const first = await image('sync east: --json');
    expect(first.code, first.stdout).to.equal(0);
    const there = await named(east);
    expect([...there.keys()].sort()).to.deep.equal(['ours', 'small', 'theirs']);
    expect(there.get('ours')).to.include({ os_distro: 'debian', visibility: 'private', owner: east.projectId });
    const second = await image('sync east:east-1');
    expect([second.code, second.stdout], second.stderr).to.deep.equal([0, '']);
    expect((await image('status east: --format csv')).stdout).to.match(/^(ok,east:east-1,\w+\r\n){2}\n$/);
    expect((await image('orphans east:')).stdout).to.equal('');
    await west.images.make({ name: 'theirs', content: randomBytes(10) });
    // What the partner itself has under that name is not ours to touch.
    expect((await image('sync east: --dry-run')).stdout).to.match(/^upload +east:east-1 +theirs/m);
  });

  it('from the partner to here, by the rules of alliance.yaml', async () => {
    west.cloud.configure({
      images: { targets: { master: { metadata_condition: "image.name == 'theirs'", replace: ['any'] } } },
    });
    const plan = await image('plan --from east');
    expect(plan.stdout).to.match(/^ACTION.*\nreplace +west-1 +theirs/);
    expect((await image('sync --from east:east-1')).code).to.equal(0);
    const [here, there] = [(await named(west)).get('theirs')!, (await named(east)).get('theirs')!];
    expect(await west.images.sha512(here.id)).to.equal(await east.images.sha512(there.id));
    const config = await west.cloud.quick('config show --json');
    expect(config.stdout).to.contain("image.name == 'theirs'");
  });

  it('a partner goes by its cloud_id and by its name here, with the rules of either', async () => {
    west.cloud.configure({ images: { targets: { east: { metadata_condition: "image.name == 'small'" } } } });
    expect((await west.cloud.quick('partner set east --name sunrise')).code).to.equal(0);
    const status = await image('status sunrise: --format csv');
    expect([status.code, status.stdout], status.stderr).to.deep.equal([0, 'ok,sunrise:east-1,small\r\n\n']);
    expect((await image('status east: --format csv')).stdout).to.equal('ok,east:east-1,small\r\n\n');
    expect((await image('regions --format csv')).stdout).to.equal('west-1 sunrise:east-1\n');
    const twice = await image('sync east: sunrise:');
    expect([twice.code, twice.stderr]).to.satisfy(([c, text]: [number, string]) => c === 2 && /named twice/.test(text));
    expect((await west.cloud.quick('partner set east --name east')).code).to.equal(0);
  });

  it('Ctrl-C ends it cleanly, and the next run brings the rest', async () => {
    const content = randomBytes(6_000_000);
    await east.images.make({ name: 'theirs large', content });
    west.cloud.configure({ images: { bwlimit: '1M' } });
    const service = startService(['image', 'sync', '--from', 'east', '--json'], { home: west.cloud.home });
    await until('it is under way', () => service.lines.some((line) => line.includes('task_progress')), 60_000);
    service.child.kill('SIGINT');
    expect(await service.ended, service.stderr()).to.equal(130);
    const report = checked<{ state: string; event: string }>('image-sync-event', JSON.parse(service.lines.at(-1)!));
    expect(report).to.include({ event: 'ended', state: 'stopped' });
    expect([...(await named(west)).keys()]).not.to.include('theirs large');
    const next = await image('sync --from east --bwlimit off');
    expect(next.code, next.stderr).to.equal(0);
    expect((await named(west)).get('theirs large')).to.include({ status: 'active', size: content.length });
  });

  it('a target with a login of the name of a partner is a mistake', async () => {
    west.cloud.configure({ images: { targets: { east: { auth: { auth_url: 'http://127.0.0.1:1/v3' } } } } });
    const { code, stderr } = await image('status east:');
    expect([code, stderr]).to.satisfy(([c, text]: [number, string]) => c === 2 && /target .* and a partner/.test(text));
    west.cloud.configure({ images: { targets: { north: { replace: ['any'] } } } });
    const north = await image('status north:');
    expect([north.code, north.stderr]).to.satisfy(([, text]: [number, string]) => /"north" has no login/.test(text));
    // It is one among several.
    const regions = await image('regions --format csv');
    expect([regions.code, regions.stdout]).to.deep.equal([3, 'west-1 east:east-1\n']);
  });

  it('what the partner does not offer is told', async () => {
    west.cloud.configure({ images: {} });
    east.cloud.configure({ partners: { west: { images: { read: false } } } });
    east.cloud.service.child.kill('SIGHUP');
    await east.cloud.service.said(/reloaded/);
    const { code, stderr } = await image('status east:');
    expect([code, stderr]).to.satisfy(([c, text]: [number, string]) => c === 1 && /nothing can be planned/.test(text));
    expect((await image('sync east:')).code).to.equal(1);
    expect((await image('status --from east')).code).to.equal(1);
  });
});
