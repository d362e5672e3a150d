/** What a partner is in the middle of ends with what it may do. */
import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { CloudId } from '../../../src/core/ids.ts';
import { type ReadQuestion, Reads } from '../../../src/server/images/reads.ts';
import { ImageAttributes, ImageReference, ImageWrite, NewImage, toInt64 } from '../../../src/wire/types.ts';
import { rejection } from '../../support/errors.ts';
import { type GlanceCloud, imageEnv, startGlanceCloud } from '../../support/imageCloud.ts';
import { PartnerPeer } from '../../support/partnerPeer.ts';
import { until } from '../../support/until.ts';

describe('server/images/uploads', () => {
  let east: GlanceCloud;

  before(async () => {
    east = await startGlanceCloud('east', (project) =>
      Object.fromEntries(
        ['peer', 'north'].flatMap((name) =>
          Object.entries(imageEnv(name, { read: true, write: true, project, quota_gib: 1, quota_images: 9 })),
        ),
      ),
    );
  });
  after(() => east.stop());

  async function begin(name: string) {
    const peer = await PartnerPeer.join(east.cloud, name);
    const raw = await peer.channel();
    const id = randomUUID();
    const image = new ImageReference({ id });
    const attributes = new ImageAttributes({ name: 'a', disk_format: 'raw' });
    await raw.call('createImage', new NewImage({ image, attributes }));
    const write = (offset: number) =>
      raw.call(
        'writeImageData',
        new ImageWrite({ image, offset: toInt64(offset), data: Buffer.alloc(1000), size: toInt64(2000) }),
      );
    await write(0);
    const isSaving = async () => (await east.own.get(id)).status === 'saving';
    await until('Glance takes the content', isSaving);
    return { peer, raw, id, write, isSaving };
  }

  it('one of a partner that is suspended ends, and makes no image', async () => {
    const { peer, id, isSaving } = await begin('peer');
    const { store, view } = east.cloud.installation;
    await store.partners.apply(peer.partner.uid, 'suspend');
    await view.refresh();
    await until('the upload has ended', async () => !(await isSaving()));
    expect((await east.own.get(id)).status).to.equal('queued');
  });

  it('one of a partner whose configuration does not allow it any more ends', async () => {
    const { isSaving } = await begin('north');
    const north = 'north' as CloudId;
    const { installation } = east.cloud;
    const { partners } = installation.config;
    const rules = partners.get(north)!;
    const less = new Map<CloudId, typeof rules>([
      ...partners,
      [north, { ...rules, images: { ...rules.images, write: false } }],
    ]);
    installation.config = { ...installation.config, partners: less };
    await until('the upload has ended', async () => !(await isSaving()));
  });

  it('a content that may not be read any more ends, and no other', async () => {
    const reads = new Reads();
    const question = (region: string): ReadQuestion => ({
      store: {
        read: async function* (_id, _offset, { signal } = {}) {
          yield Buffer.alloc(10);
          await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
        },
      },
      ...{ region, id: 'i', sizeBytes: 100, offset: 0, lengthBytes: 50 },
      onOpen: async () => undefined,
    });
    const [one, two] = [reads.read('a', question('x')), reads.read('a', question('y'))];
    const refused = rejection(one, 'not_exported');
    reads.review((uid, region) => uid === 'a' && region === 'y');
    await refused;
    const ended = rejection(two, 'shutting_down');
    reads.close();
    await ended;
  });
});
