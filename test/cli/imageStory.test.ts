import { startGlance } from '../../src/sandbox/glance.ts';
import { startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { describeImageSync } from '../support/imageStory.ts';

describeImageSync(
  'embedded services',
  async (region) => {
    const keystone = await startSandboxKeystone({ region });
    const glance = await startGlance({ keystone, region });
    return { keystone, region, url: glance.url, stop: () => glance.close() };
  },
  { largeBytes: 8 * 2 ** 20, limitMib: 4, timeoutMs: 60_000 },
);
