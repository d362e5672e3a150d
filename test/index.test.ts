/** The library as a program uses it that knows nothing but its exports. */
import { expect } from 'chai';
import {
  AllianceError,
  accept,
  approve,
  authenticate,
  type Broker,
  closeSessions,
  endpoints,
  endTrust,
  initHome,
  invite,
  openInstallation,
  openSession,
  ping,
  refreshPairing,
  rotateIdentity,
  services,
  startBroker,
  validateToken,
} from '../src/index.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../src/sandbox/keystone.ts';
import { findFreePort } from '../src/server/freePort.ts';
import { temporaryDirectory } from './support/directory.ts';

describe('the library', () => {
  const directory = temporaryDirectory();
  let keystone: SandboxKeystone;
  let broker: Broker;
  const env = { ALLIANCE_DIAL__ALLOW: '127.0.0.0/8', ALLIANCE_LOG__LEVEL: 'silent' };
  const west = () => openInstallation({ home: directory.file('west'), env });

  before(async () => {
    keystone = await startSandboxKeystone();
    const own = {
      ...env,
      ALLIANCE_KEYSTONE__USERNAME: 'admin',
      ALLIANCE_KEYSTONE__PASSWORD: keystone.adminPassword,
      ALLIANCE_KEYSTONE__PROJECT_NAME: 'admin',
      ALLIANCE_PARTNERS__WEST__AUTHENTICATE: 'true',
    };
    const port = await findFreePort();
    const east = { home: directory.file('east'), env: own };
    const advertise = [`tls://127.0.0.1:${port}`];
    await initHome({ ...east, cloudId: 'east', advertise, keystoneUrl: keystone.url });
    await initHome({ home: directory.file('west'), env, cloudId: 'west', advertise: ['tls://127.0.0.1:9'] });
    const listen = { tls: { host: '127.0.0.1', port }, tcp: null, http: null, facade: null };
    broker = await startBroker({ ...east, listen });
  });
  after(async () => {
    await broker.stop();
    await keystone.stop();
    directory.remove();
  });

  it('pairs two clouds, and lets one ask and log in at the other', async () => {
    const installation = await west();
    const { pool } = installation;
    try {
      const { token } = await invite(broker.installation, { role: 'both' });
      const accepted = await accept(installation, token);
      const atEast = await approve(
        broker.installation,
        await broker.installation.store.partners.resolve('west'),
        accepted.code ?? '',
      );
      const east = await refreshPairing(installation, accepted);
      expect([atEast.state, east.state]).to.deep.equal(['active', 'active']);

      expect((await ping(pool, 'west', east)).cloudId).to.equal('east');
      expect(await services(pool, east)).not.to.deep.equal([]);
      expect(await endpoints(pool, east)).not.to.deep.equal([]);
      const user = { name: 'demo', domain: { name: 'Default' } };
      const issued = await authenticate(pool, east, { kind: 'password', user, password: keystone.demoPassword });
      expect((await validateToken(pool, east, issued.token)).status).to.equal('valid');

      expect((await rotateIdentity(broker.installation)).sequence).to.equal(2);
      await openSession(pool, east);
      expect(await closeSessions(installation.store, east)).to.be.greaterThan(0);

      await endTrust(installation, east, 'removed');
      const refusal = await ping(pool, 'west', east).catch((error: unknown) => error);
      expect(refusal).to.be.instanceOf(AllianceError);
    } finally {
      await installation.close();
    }
  });
});
