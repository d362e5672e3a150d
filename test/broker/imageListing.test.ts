/** Listings with a bound, and without owners, of an embedded Glance that is slow. */
import { expect } from 'chai';
import { ofNobody, withListTimeout } from '../../src/broker/imageListing.ts';
import type { AllianceError } from '../../src/core/errors.ts';
import type { ImageStore } from '../../src/lproxy/imageStore.ts';
import { startImageCloud, type TestCloud } from '../support/imageRegions.ts';
import { putImage } from '../support/imageSync.ts';

describe('broker/imageListing', () => {
  let cloud: TestCloud;
  before(async () => {
    cloud = await startImageCloud('R');
    await putImage(cloud.region('R'), 'a', 10);
  });
  after(() => cloud?.close());

  const listed = async (store: ImageStore, signal?: AbortSignal) => {
    const images = [];
    for await (const page of store.list(signal && { signal })) images.push(...page);
    return images;
  };

  it('a listing that takes too long is an error that says so', async () => {
    const { store, glance } = cloud.region('R');
    expect(await listed(withListTimeout(store, 60_000))).to.have.length(1);
    expect(withListTimeout(store, null)).to.equal(store);
    glance.faults.next({ method: 'GET', kind: 'slow', delayMs: 10_000, times: 1 });
    const error = await listed(withListTimeout(store, 50)).catch((thrown: AllianceError) => thrown);
    expect(error).to.include({ errorName: 'glance_unreachable' });
    expect((error as AllianceError).details).to.match(/longer than 0\.05 s/);
    glance.faults.clear();
  });

  it('whoever ends it hears what it ended for', async () => {
    const { store } = cloud.region('R');
    const reason = new Error('enough');
    const error = await listed(withListTimeout(store, 60_000), AbortSignal.abort(reason)).catch((e: unknown) => e);
    expect(error).to.equal(reason);
  });

  it('images of nobody are as they are but for that', async () => {
    const { store } = cloud.region('R');
    const [image] = await listed(store);
    const bare = ofNobody(store);
    expect(image!.owner).not.to.equal('');
    expect(await listed(bare)).to.deep.equal([{ ...image, owner: '' }]);
    expect(await bare.get(image!.id)).to.deep.equal({ ...image, owner: '' });
    expect([bare.label, bare.publishes]).to.deep.equal([store.label, store.publishes]);
  });
});
