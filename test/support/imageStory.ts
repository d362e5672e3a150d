/** Images of one cloud come to another one, by the command line alone, whatever the Keystones and Glances are. */
import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { RunningGlance } from './glanceContract.ts';
import { createImageApi, type ImageApi, type ImageBody } from './imageApi.ts';
import type { RunningKeystone } from './keystoneApi.ts';
import { type ServedCloud, serveBeside, startService } from './servedCloud.ts';
import { until } from './until.ts';

export interface ImageStoryOptions {
  /** Of the one that is interrupted. */
  readonly largeBytes: number;
  /** MiB a second while it is to be interrupted. */
  readonly limitMib: number;
  readonly timeoutMs: number;
}

interface Side {
  readonly cloud: ServedCloud<RunningKeystone>;
  readonly images: ImageApi;
  readonly glance: RunningGlance;
}

interface Event {
  readonly event: string;
  readonly name?: string;
  readonly sent_bytes?: number;
}

const sha512 = (content: Buffer): string => createHash('sha512').update(content).digest('hex');

export function describeImageSync(
  name: string,
  open: (region: string) => Promise<RunningGlance>,
  { largeBytes, limitMib, timeoutMs }: ImageStoryOptions,
): void {
  describe(`images between two clouds, with ${name}`, function () {
    this.timeout(timeoutMs);
    let east: Side;
    let west: Side;
    const contents = new Map<string, Buffer>([
      ['kernel', randomBytes(300_000)],
      ['ramdisk', randomBytes(400_000)],
      ['ami', randomBytes(100_000)],
      ['small', randomBytes(70_001)],
    ]);

    async function openSide(cloudId: string): Promise<Side> {
      const glance = await open(cloudId);
      const { keystone, url } = glance;
      const images = await createImageApi(url, keystone);
      return { cloud: await serveBeside(cloudId, keystone), images, glance };
    }

    const sync = (args = '') => west.cloud.run(`image sync --from east ${args} --json`, { timeoutMs });
    const named = async (side: Side): Promise<Map<string, ImageBody>> => {
      const listed = await side.images.list();
      const found = new Map(listed.map((image) => [image.name, image]));
      expect(found.size, 'no two of one name').to.equal(listed.length);
      return found;
    };

    before(async function () {
      this.timeout(timeoutMs * 4);
      [east, west] = await Promise.all([openSide('east'), openSide('west')]);
      east.cloud.configure({ partners: { west: { images: { read: true } } } });
      await Promise.all([east.cloud.serve(), west.cloud.serve()]);
      const { stdout: token } = await east.cloud.quick('partner invite --approve --role consumer');
      expect((await west.cloud.quick('partner accept -', { input: token })).code).to.equal(0);

      const { make } = east.images;
      const of = (each: string): Buffer => contents.get(each)!;
      const kernel = await make({
        name: 'kernel',
        content: of('kernel'),
        attributes: { disk_format: 'aki', container_format: 'aki' },
      });
      const ramdisk = await make({
        name: 'ramdisk',
        content: of('ramdisk'),
        attributes: { disk_format: 'ari', container_format: 'ari' },
      });
      await make({
        name: 'ami',
        content: of('ami'),
        attributes: {
          disk_format: 'ami',
          container_format: 'ami',
          kernel_id: kernel.id,
          ramdisk_id: ramdisk.id,
          os_distro: 'debian',
        },
      });
      await make({ name: 'small', content: of('small'), attributes: { min_disk: 3, min_ram: 512, tags: ['blue'] } });
      await make({ name: 'hidden from others', content: randomBytes(1000), attributes: { visibility: 'private' } });
      contents.set('large', randomBytes(largeBytes));
      await make({ name: 'large', content: of('large') });
    });

    after(async () => {
      for (const side of [east, west]) {
        await side?.cloud.stop();
        await side?.glance.stop();
      }
    });

    it('a plan says what would come, and nothing changes', async () => {
      const { code, stdout, stderr } = await west.cloud.run('image plan --from east --json', { timeoutMs });
      expect(code, stderr).to.equal(0);
      const [region] = (JSON.parse(stdout) as { regions: { actions: { name: string; action: string }[] }[] }).regions;
      expect(region!.actions.map((each) => each.name)).to.have.members([...contents.keys()]);
      expect(new Set(region!.actions.map(({ action }) => action))).to.deep.equal(new Set(['upload']));
      expect(await west.images.list()).to.deep.equal([]);
    });

    it('a sync that is killed on the way leaves nothing that looks like an image', async () => {
      const service = startService(['image', 'sync', '--from', 'east', '--bwlimit', `${limitMib}M`, '--json'], {
        home: west.cloud.home,
      });
      const isUnderWay = (line: string): boolean => {
        const { event, name: image, sent_bytes: sent = 0 } = JSON.parse(line) as Event;
        return event === 'task_progress' && image === 'large' && sent > largeBytes / 10;
      };
      await until(
        'the large image is under way',
        () => {
          if (service.child.exitCode !== null) throw new Error(`It ended: ${service.stderr()}`);
          return service.lines.some(isUnderWay);
        },
        timeoutMs,
      );
      service.child.kill('SIGKILL');
      await service.ended;
      const large = (await west.images.list()).filter((image) => image.name === 'large');
      expect(large.filter(({ status }) => status === 'active')).to.deep.equal([]);
    });

    it('the next one brings the rest, though the partner is killed under it', async () => {
      const service = startService(['image', 'sync', '--from', 'east', '--bwlimit', `${limitMib}M`, '--json'], {
        home: west.cloud.home,
      });
      await until(
        'the large image is under way again',
        () => {
          if (service.child.exitCode !== null) throw new Error(`It ended: ${service.stderr()}`);
          return service.lines.some((line) => /"task_progress"/.test(line) && /"large"/.test(line));
        },
        timeoutMs,
      );
      east.cloud.service.child.kill('SIGKILL');
      await east.cloud.service.ended;
      await east.cloud.serve();
      expect(await service.ended, `${service.stderr()}\n${service.lines.at(-1)}`).to.equal(0);
    });

    it('all is there once, byte for byte, with its properties, and kernels are those of this cloud', async () => {
      const found = await named(west);
      expect([...found.keys()]).to.have.members([...contents.keys()]);
      for (const [image, content] of contents) {
        const { id, status, size, visibility } = found.get(image)!;
        expect({ status, size, visibility }, image).to.deep.equal({
          status: 'active',
          size: content.length,
          visibility: 'public',
        });
        expect(await west.images.sha512(id), image).to.equal(sha512(content));
      }
      expect(found.get('ami')).to.deep.include({
        kernel_id: found.get('kernel')!.id,
        ramdisk_id: found.get('ramdisk')!.id,
        os_distro: 'debian',
        disk_format: 'ami',
      });
      expect(found.get('small')).to.deep.include({ min_disk: 3, min_ram: 512, tags: ['blue'] });
      for (const image of found.values())
        expect(Object.keys(image).filter((key) => key.startsWith('alliance'))).to.deep.equal([]);
    });

    it('there is nothing more to do', async () => {
      const before = await named(west);
      const { code, stderr } = await sync();
      expect(code, stderr).to.equal(0);
      expect(await named(west)).to.deep.equal(before);
      const { stdout } = await west.cloud.run('image status --from east --format csv', { timeoutMs });
      const lines = stdout.split('\r\n').filter((line) => /\w/.test(line));
      expect(lines.map((line) => line.split(',')[0])).to.deep.equal(Array(contents.size).fill('ok'));
    });

    it('what changes there changes here', async () => {
      const found = await named(east);
      const answer = await fetch(`${east.glance.url}/v2/images/${found.get('small')!.id}`, {
        method: 'PATCH',
        headers: {
          'x-auth-token': east.images.token,
          'content-type': 'application/openstack-images-v2.1-json-patch',
        },
        body: JSON.stringify([{ op: 'add', path: '/os_version', value: '12' }]),
      });
      expect(answer.status).to.equal(200);
      const { code, stderr } = await sync();
      expect(code, stderr).to.equal(0);
      expect((await named(west)).get('small')).to.include({ os_version: '12' });
    });
  });
}
