/** GlanceSync's REST API of a running broker, between regions of embedded Glances. */
import { expect } from 'chai';
import { openImageWork } from '../../src/broker/imageWork.ts';
import type { Clock } from '../../src/core/clock.ts';
import { syncLimits } from '../../src/core/limits.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { refusal } from '../support/errors.ts';
import { startImageCloud, type TestCloud } from '../support/imageRegions.ts';
import { putImage } from '../support/imageSync.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';

interface Task {
  readonly taskId: string;
  readonly status: string;
  readonly message: string | null;
}

describe('broker/imageRest', function () {
  this.timeout(30_000);
  let regions: TestCloud;
  let other: TestCloud;
  let token: string;

  before(async () => {
    [regions, other] = await Promise.all([startImageCloud('M', 'Burgos'), startImageCloud('Madrid')]);
    const { url, adminPassword } = regions.keystone;
    const api = createKeystoneApi(url);
    token = await api.login(passwordLogin('admin', adminPassword, { project: inDefault('admin') }));
  });
  beforeEach(async () => {
    await Promise.all([regions.clear(), other.clear()]);
    await putImage(regions.region('M'), 'ubuntu', 1000);
    await putImage(regions.region('M'), 'debian', 2000);
  });
  afterEach(() => stopClouds());
  after(() => Promise.all([regions.close(), other.close()]));

  const start = (env: Record<string, string> = {}, clock?: Clock): Promise<Cloud> =>
    startCloud({
      cloudId: 'east',
      ...(clock && { clock }),
      keystone: regions.keystone,
      env: {
        ALLIANCE_IMAGES__MASTER_REGION: 'M',
        ALLIANCE_IMAGES__REST: 'true',
        ALLIANCE_IMAGES__TARGETS__OTHER__AUTH__AUTH_URL: other.keystone.url,
        ALLIANCE_IMAGES__TARGETS__OTHER__AUTH__USERNAME: 'admin',
        ALLIANCE_IMAGES__TARGETS__OTHER__AUTH__PASSWORD: other.keystone.adminPassword,
        ALLIANCE_IMAGES__TARGETS__OTHER__AUTH__PROJECT_NAME: 'admin',
        ...env,
      },
    });
  const send = async <T = Task>(cloud: Cloud, method: string, path: string) => {
    const { host, port } = cloud.broker.addresses.http!;
    const answer = await fetch(`http://${host}:${port}/glancesync${path}`, {
      method,
      headers: { 'x-auth-token': token },
    });
    const text = await answer.text();
    return { status: answer.status, body: (text === '' ? null : JSON.parse(text)) as T };
  };
  const ended = (cloud: Cloud, region: string, taskId: string): Promise<Task> =>
    until(`the end of ${taskId}`, async () => {
      const { status, body } = await send(cloud, 'GET', `/regions/${region}/tasks/${taskId}`);
      expect(status).to.equal(200);
      return body.status !== 'syncing' && body;
    });
  type Images = { images: { id: string | null; name: string; status: string; message: string | null }[] };

  it('shows the state of images, brings them there, and forgets the task', async () => {
    const cloud = await start();
    for (const region of ['Burgos', 'other:Madrid']) {
      const before = await send<Images>(cloud, 'GET', `/regions/${region}`);
      expect(before.body.images).to.deep.equal(
        ['ubuntu', 'debian'].map((name) => ({
          id: null,
          name,
          status: 'pending_upload',
          message: 'It is not in the region.',
        })),
      );
      const one = await send(cloud, 'POST', `/regions/${region}?image=debian`);
      expect([one.status, one.body.status]).to.deep.equal([200, 'syncing']);
      expect(await ended(cloud, region, one.body.taskId)).to.deep.equal({
        ...one.body,
        status: 'synced',
        message: null,
      });
      const between = await send<Images>(cloud, 'GET', `/regions/${region}?image=debian`);
      const place = region === 'Burgos' ? regions.region('Burgos') : other.region('Madrid');
      const id = (await place.images()).get('debian')?.id;
      expect(between.body.images).to.deep.equal([{ id, name: 'debian', status: 'ok', message: null }]);
      const all = await send(cloud, 'POST', `/regions/${region}`);
      expect((await ended(cloud, region, all.body.taskId)).status).to.equal('synced');
      expect([...(await place.images()).keys()].sort()).to.deep.equal(['debian', 'ubuntu']);

      const path = `/regions/${region}/tasks/${all.body.taskId}`;
      expect((await send(cloud, 'GET', `/regions/M/tasks/${all.body.taskId}`)).status).to.equal(404);
      expect((await send(cloud, 'DELETE', `/regions/M/tasks/${all.body.taskId}`)).status).to.equal(404);
      expect((await send(cloud, 'DELETE', path)).status).to.equal(200);
      expect((await send(cloud, 'GET', path)).status).to.equal(404);
    }
    const list = await cloud.installation.store.executions.list();
    expect(list.map(({ trigger, regions: names }) => [trigger, names])).to.deep.equal([
      ['rest', ['other:Madrid']],
      ['rest', ['Burgos']],
    ]);
  });

  it('410 for what is no region, or more than one; nothing is begun', async () => {
    const cloud = await start();
    for (const region of ['Atlantis', 'other:Atlantis', 'nobody:R', 'other:', 'master:', '%20'])
      for (const [method, path] of [
        ['GET', `/regions/${region}`],
        ['POST', `/regions/${region}`],
        ['GET', `/regions/${region}/tasks/0`],
      ] as const)
        expect((await send(cloud, method, path)).status, `${method} ${path}`).to.equal(410);
    expect((await send(cloud, 'GET', '/regions/Burgos/tasks/0')).status).to.equal(404);
    expect(await cloud.installation.store.executions.list()).to.deep.equal([]);
  });

  it('a region that is being synchronised has one task, whoever asks', async () => {
    const cloud = await start();
    regions.region('M').glance.faults.next({ method: 'GET', path: /\/file$/, kind: 'slow', delayMs: 500, times: 2 });
    const both = await Promise.all([1, 2].map(() => send(cloud, 'POST', '/regions/Burgos')));
    const [{ taskId }, second] = both.map(({ body }) => body) as [Task, Task];
    expect(second.taskId).to.equal(taskId);
    expect((await send(cloud, 'POST', '/regions/master:Burgos')).body.taskId).to.equal(taskId);
    expect((await send(cloud, 'DELETE', `/regions/Burgos/tasks/${taskId}`)).status).to.equal(400);
    expect((await ended(cloud, 'Burgos', taskId)).status).to.equal('synced');
    expect((await send(cloud, 'POST', '/regions/Burgos')).body.taskId).not.to.equal(taskId);
  });

  it('the master is what it should be, and a sync of it has nothing to do', async () => {
    const cloud = await start();
    const { body } = await send<Images>(cloud, 'GET', '/regions/M');
    expect(body.images.map(({ name, status }) => [name, status])).to.deep.equal([
      ['ubuntu', 'ok'],
      ['debian', 'ok'],
    ]);
    const { taskId } = (await send(cloud, 'POST', '/regions/M')).body;
    expect((await ended(cloud, 'M', taskId)).status).to.equal('synced');
    expect((await send(cloud, 'DELETE', `/regions/Burgos/tasks/${taskId}`)).status).to.equal(404);
    expect((await send(cloud, 'DELETE', `/regions/M/tasks/${taskId}`)).status).to.equal(200);
  });

  it('says why a task failed, which image by image', async () => {
    const cloud = await start();
    regions.region('Burgos').glance.quota.bytes = 1500;
    const { body } = await send(cloud, 'POST', '/regions/Burgos');
    const { status, message } = await ended(cloud, 'Burgos', body.taskId);
    regions.region('Burgos').glance.quota.bytes = Number.POSITIVE_INFINITY;
    expect(status).to.equal('failed');
    expect(message).to.match(/1 of 2 images: debian: There is no room for the image\./);
  });

  it('a task that the end of the broker broke is failed, says so, and can be forgotten', async () => {
    const cloud = await start();
    const { executions } = cloud.installation.store;
    const { body } = await send(cloud, 'POST', '/regions/Burgos');
    await ended(cloud, 'Burgos', body.taskId);
    await putImage(regions.region('M'), 'large', 3_000_000);
    regions.region('M').glance.faults.next({ method: 'GET', path: /\/file$/, kind: 'hang' });
    const running = (await send(cloud, 'POST', '/regions/Burgos')).body;
    await until('it sends', async () => (await executions.tasks(running.taskId)).length > 0);
    await cloud.stopBroker();
    regions.region('M').glance.faults.clear();
    await cloud.startBroker();
    expect((await send(cloud, 'GET', `/regions/Burgos/tasks/${body.taskId}`)).body.status).to.equal('synced');
    const path = `/regions/Burgos/tasks/${running.taskId}`;
    const { status, message } = (await send(cloud, 'GET', path)).body;
    expect([status, message]).to.satisfy(
      ([state, text]: string[]) => state === 'failed' && /shutting down/.test(text!),
    );
    expect((await send(cloud, 'DELETE', path)).status).to.equal(200);
    const again = (await send(cloud, 'POST', '/regions/Burgos')).body;
    expect((await ended(cloud, 'Burgos', again.taskId)).status).to.equal('synced');
  });

  it('a task whose process died without a word is failed as soon as somebody looks', async () => {
    const clock = createShiftedClock();
    const cloud = await start({}, clock);
    const { executions } = cloud.installation.store;
    const options = { compat: false, only: null, parallel: 1, imagesParallel: 1, maxBytes: null, approved: false };
    await executions.begin({ id: 'dead', trigger: 'rest', source: 'M', regions: ['Burgos'], options });
    expect((await send(cloud, 'POST', '/regions/Burgos')).body).to.include({ taskId: 'dead', status: 'syncing' });
    await cloud.stopBroker();
    clock.advance(syncLimits.silentMs + 1);
    await cloud.startBroker();
    const told = await ended(cloud, 'Burgos', 'dead');
    expect(told).to.deep.equal({
      ...{ taskId: 'dead', status: 'failed', message: 'The process that ran it ended before it did.' },
    });
    expect((await send(cloud, 'DELETE', '/regions/Burgos/tasks/dead')).status).to.equal(200);
  });

  it('is off unless it is switched on, and needs a Keystone', async () => {
    const cloud = await start({ ALLIANCE_IMAGES__REST: 'false' });
    expect((await send(cloud, 'GET', '/')).status).to.equal(404);
    const { config } = cloud.installation;
    const installation = { ...cloud.installation, config: { ...config, images: { ...config.images, rest: true } } };
    expect(refusal(() => openImageWork(installation, undefined), 'configuration').field).to.equal('images.rest');
  });

  it('another role, where the configuration says so', async () => {
    const cloud = await start({ ALLIANCE_IMAGES__REST_ROLE: 'image-operator' });
    expect((await send(cloud, 'GET', '/regions/Burgos')).status).to.equal(401);
  });
});
