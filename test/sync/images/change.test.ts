import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { listAll } from '../../support/glanceContract.ts';
import { putImage, type SyncWorld, startSyncWorld } from '../../support/imageSync.ts';

describe('sync/images/change', () => {
  let world: SyncWorld;
  before(async () => {
    world = await startSyncWorld();
  });
  after(() => world.close());

  it('neither brings properties that point at other things, nor takes away those of the region', async () => {
    const content = randomBytes(2000);
    const [theirs, ours] = ['[{"volume_id": "theirs"}]', '[{"volume_id": "ours"}]'];
    const put = (side: 'east' | 'west', properties: Record<string, string>) =>
      putImage(world[side], 'one', content, { properties: new Map(Object.entries(properties)) });
    await put('east', { os_distro: 'debian', mappings: theirs, bdm_v2: 'true' });
    await put('west', { os_distro: 'ubuntu', block_device_mapping: ours, bdm_v2: 'false' });
    expect((await world.sync()).state).to.equal('done');
    const [image] = await listAll(world.west.store);
    expect(Object.fromEntries(image!.properties)).to.deep.equal({
      os_distro: 'debian',
      block_device_mapping: ours,
      bdm_v2: 'false',
    });
  });
});
