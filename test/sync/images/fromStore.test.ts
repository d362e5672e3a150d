import { expect } from 'chai';
import type { StoredImage } from '../../../src/lproxy/imageStore.ts';
import { toImage } from '../../../src/sync/images/fromStore.ts';
import { readMaster } from '../../../src/sync/images/master.ts';
import { plainImage } from '../../support/glanceContract.ts';

const stored = (values: Partial<StoredImage>): StoredImage => ({
  ...plainImage({ name: 'one' }),
  id: 'id',
  owner: 'p',
  status: 'active',
  sizeBytes: 10,
  checksum: null,
  hash: { algorithm: 'sha512', value: 'aa' },
  createdAt: null,
  updatedAt: null,
  ...values,
});

describe('sync/images/fromStore', () => {
  it('leaves out what is nobody else to copy', () => {
    const properties = new Map([
      ['alliance_transfer', 'x'],
      ['os_glance_failed_import', 'x'],
      ['cinder_encryption_key_id', 'x'],
      ['cinder_encryption_key_deletion_policy', 'on_image_deletion'],
      ['block_device_mapping', '[]'],
      ['BDM_v2', 'true'],
      ['mappings', '[]'],
      ['os_distro', 'debian'],
    ]);
    expect([...toImage(stored({ properties })).properties]).to.deep.equal([['os_distro', 'debian']]);
  });

  for (const [what, values, reason] of [
    ['of unknown size', { sizeBytes: null }, /how large/],
    ['without content', { sizeBytes: 0, hash: null }, /no content/],
    ['in a box', { containerFormat: 'ova' }, /container ova/],
    ['encrypted', { properties: new Map([['cinder_encryption_key_id', 'k']]) }, /encrypted/],
  ] as const)
    it(`an image ${what} is told, and is none of the master's`, () => {
      const image = toImage(stored(values));
      const { images, notices } = readMaster('M', [image], 'p');
      expect(images.size).to.equal(0);
      expect(notices).to.have.length(1);
      expect(notices[0]).to.deep.include({ kind: 'unfit', name: 'one' });
      expect(notices[0]!.details).to.match(reason);
    });

  it('others are, an empty one with a hash among them', () => {
    for (const values of [
      {},
      { sizeBytes: 0 },
      { containerFormat: 'ami' },
      { sizeBytes: 0, hash: null, checksum: 'd41d8cd98f00b204e9800998ecf8427e' },
    ])
      expect(readMaster('M', [toImage(stored(values))], 'p').images.size).to.equal(1);
  });
});
