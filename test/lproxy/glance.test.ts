import { startGlance } from '../../src/sandbox/glance.ts';
import { startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { describeGlance } from '../support/glanceContract.ts';

describeGlance('the sandbox Glance', async () => {
  const keystone = await startSandboxKeystone();
  const glance = await startGlance({ keystone, prefix: '/image' });
  const stop = async () => {
    await glance.close();
    await keystone.stop();
  };
  return { keystone, region: keystone.region, url: glance.url, stop };
});
