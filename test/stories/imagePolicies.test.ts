/** Two brokers as processes: west follows the images of its partner east by itself, and is killed in the middle. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { startGlance } from '../../src/sandbox/glance.ts';
import { startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { createImageApi, type ImageApi } from '../support/imageApi.ts';
import { type ServedCloud, serveBeside } from '../support/servedCloud.ts';
import { until } from '../support/until.ts';

interface Side {
  readonly cloud: ServedCloud;
  readonly images: ImageApi;
  close(): Promise<void>;
}

interface Listed {
  readonly executions: readonly {
    id: string;
    state: string;
    trigger: string;
    tasks: number;
    sent_bytes: number;
    failure: { reason: string } | null;
  }[];
}

async function openSide(cloudId: string): Promise<Side> {
  const keystone = await startSandboxKeystone({ region: `${cloudId}-1` });
  const glance = await startGlance({ keystone });
  const cloud = await serveBeside(cloudId, keystone);
  const close = async () => {
    await cloud.stop();
    await glance.close();
  };
  return { cloud, images: await createImageApi(glance.url, keystone), close };
}

describe('story: a broker that follows the images of its partner', function () {
  this.timeout(120_000);
  let east: Side;
  let west: Side;

  const policies = (golden: object = {}) => ({
    images: {
      master_region: 'west-1',
      rest: true,
      bwlimit: '2M',
      policies: {
        golden: { from: 'east:east-1', regions: ['west-1'], trigger: 'event', ...golden },
      },
    },
  });
  const executions = async () => (await west.cloud.json<Listed>('execution-list', 'execution list')).executions;
  const namesAtWest = async () => (await west.images.list()).map(({ name }) => name).sort();
  const rest = async (method: string, path: string) => {
    const line = await west.cloud.service.said(/"face":"http"/);
    const { address } = JSON.parse(line) as { address: string };
    const url = `http://${address}/glancesync${path}`;
    return fetch(url, { method, headers: { 'x-auth-token': west.images.token } });
  };

  before(async () => {
    [east, west] = await Promise.all([openSide('east'), openSide('west')]);
    east.cloud.configure({ partners: { west: { images: { read: true } } } });
    await east.cloud.serve();
    const { stdout: token } = await east.cloud.quick('partner invite --approve --role both');
    expect((await west.cloud.quick('partner accept -', { input: token })).code).to.equal(0);
    west.cloud.configure(policies());
  });
  after(async () => {
    await Promise.all([east?.close(), west?.close()]);
  });

  it('survives its end in the middle: the run has failed, says why, and is made up for', async () => {
    await east.images.make({ name: 'golden', content: randomBytes(8_000_000) });
    await west.cloud.serve();
    await until('it looks', async () => {
      const { stdout } = await west.cloud.quick('image policy list');
      return stdout.includes('enabled');
    });
    expect((await west.cloud.quick('image policy run golden --background')).code).to.equal(0);
    await until('it sends', async () => ((await executions())[0]?.sent_bytes ?? 0) > 0, 30_000);
    west.cloud.service.child.kill('SIGKILL');
    await west.cloud.service.ended;

    const [broken] = await executions();
    expect(broken).to.include({ state: 'failed', trigger: 'policy:golden' });
    expect(broken?.failure?.reason).to.equal('The process that ran it ended before it did.');
    west.cloud.configure(policies({ bwlimit: 'off' }));
    await west.cloud.serve();
    const retried = await west.cloud.quick(`execution retry ${broken!.id}`);
    expect(retried.code, retried.stderr).to.equal(0);
    expect(await namesAtWest()).to.deep.equal(['golden']);
    const [there] = await east.images.list();
    const [here] = await west.images.list();
    expect(await west.images.sha512(here!.id)).to.equal(await east.images.sha512(there!.id));
    expect(Object.keys(here!).filter((key) => key.startsWith('alliance_'))).to.deep.equal([]);
  });

  it('its REST API tells of partners as regions, and of a task that the end of the broker broke', async () => {
    await west.images.make({ name: 'ours', content: randomBytes(4_000_000) });
    const found = await rest('GET', '/regions/east:east-1?image=ours');
    expect([found.status, await found.json()]).to.deep.equal([
      200,
      { images: [{ id: null, name: 'ours', status: 'pending_upload', message: 'It is not in the region.' }] },
    ]);
    const { taskId } = (await (await rest('POST', '/regions/east:east-1')).json()) as { taskId: string };
    const task = async () => {
      const answer = await rest('GET', `/regions/east:east-1/tasks/${taskId}`);
      return (await answer.json()) as { status: string; message: string };
    };
    const ended = await until('its end', async () => {
      const given = await task();
      return given.status !== 'syncing' && given;
    });
    // East lets it read, not write.
    expect(ended.status, ended.message).to.equal('failed');
    expect(ended.message).to.match(/ours: /);
    expect((await rest('DELETE', `/regions/east:east-1/tasks/${taskId}`)).status).to.equal(200);
    expect((await rest('GET', `/regions/east:east-1/tasks/${taskId}`)).status).to.equal(404);
  });
});
