import { checkCases } from './checkCases.ts';
import { type Federation, serviceUser, startFederation } from './federation.ts';
import { type Glance, prepareGlance, startGlance } from './glance.ts';
import { glanceCases } from './glanceCases.ts';
import { cacheSeconds, middlewareCases, type Setting } from './middlewareCases.ts';
import { outageCases } from './outageCases.ts';
import { revocationCases } from './revocationCases.ts';
import { authTokenSection, type Service, startService } from './service.ts';

describe('real services behind a facade', function () {
  this.timeout(120_000);
  let federation: Federation | undefined;
  let services: Service[] = [];
  let glance: Glance | undefined;

  const setting = (): Setting => {
    const [unchanged, service, remembering] = services;
    return { federation: federation!, unchanged: unchanged!, service: service!, remembering: remembering! };
  };

  before(async function () {
    this.timeout(240_000);
    const [tables, started] = await Promise.all([prepareGlance(), startFederation()]);
    federation = started;
    const user = serviceUser('stock');
    const authUrl = federation.facadeUrl;
    glance = await startGlance(tables, { authUrl, user: serviceUser('glance') });
    services = await Promise.all([
      startService(authTokenSection({ authUrl: federation.west.keystone.url, user, cacheTime: -1 })),
      startService(authTokenSection({ authUrl, user, cacheTime: -1 })),
      startService(authTokenSection({ authUrl, user, cacheTime: cacheSeconds })),
    ]);
  });

  after(async () => {
    await Promise.all([glance, ...services].map((service) => service?.stop()));
    await federation?.stop();
  });

  describe('with the real keystonemiddleware', () => {
    middlewareCases(setting);
    revocationCases(setting);
  });
  describe('a real Glance', () => glanceCases(() => ({ federation: federation!, glance: glance! })));
  describe('alliance check auth-token', () => checkCases(() => ({ ...setting(), glance: glance! })));
  describe('in outages', () => outageCases(setting));
});
