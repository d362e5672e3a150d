/** A partner that publishes the key of another cloud's Keystone, to be brought that cloud's tokens. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { createKeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';

describe("a partner that publishes this cloud's key of tokens", function () {
  this.timeout(40_000);
  let keys: TemporaryDirectory;
  let keystone: SandboxKeystone;
  let west: Cloud;
  let token: string;
  const foreign = () => west.broker.federation.foreign;
  const states = async () => (await west.installation.store.tokenKeys.list()).map(({ state }) => state);

  before(async () => {
    keys = temporaryDirectory();
    keystone = await startSandboxKeystone({ region: 'west', tokenProvider: 'jws' });
    writeFileSync(join(keys.path, 'stolen.pem'), keystone.tokenKeyPem!);
    token = await createKeystoneApi(keystone.url).login(passwordLogin('demo', keystone.demoPassword));
    // West has not configured its own keys.
    west = await startCloud({ cloudId: 'west', keystone, pauses: { bundleMs: 100 } });
    const thief = await startCloud({ cloudId: 'thief', env: { ALLIANCE_TOKENS__JWS_KEYS: keys.path } });
    await pairClouds(thief, west, { role: 'consumer' });
  });
  after(async () => {
    await stopClouds();
    await keystone.stop();
    keys.remove();
  });

  it('is refused it and told of, and is brought no token', async () => {
    await until('the key was published', async () => (await states()).length > 0);
    expect(foreign().recogniseFirst(token)).to.equal(undefined);
    await west.broker.keystone!.ownToken();
    await until('the key is refused', async () => (await states())[0] === 'disputed');
    expect(await west.metric('alliance_refusals_total', { reason: 'token_key_known' })).to.equal(1);
    expect(foreign().recogniseFirst(token)).to.equal(undefined);
    expect(await foreign().recogniseLast(token)).to.equal(undefined);
  });
});
