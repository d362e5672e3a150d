/** A real Glance beside its own real Keystone, in the catalog there: as many such clouds as a test wants. */
import { randomBytes } from 'node:crypto';
import type { RunningGlance } from '../support/glanceContract.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { projectId } from './federation.ts';
import { prepareGlance, startGlance } from './glance.ts';
import type { ServiceUser } from './service.ts';
import { lendKeystone, type RealKeystone } from './support.ts';

export interface CloudGlance extends RunningGlance {
  readonly keystone: RealKeystone;
}

async function addServiceUser(api: KeystoneApi, admin: string): Promise<ServiceUser> {
  const user = { name: `glance-${randomBytes(4).toString('hex')}`, password: randomBytes(18).toString('hex') };
  const id = await projectId(api, admin, 'service');
  const { id: userId } = await api.create(admin, 'user', { ...user, domain_id: 'default' });
  for (const role of ['admin', 'service']) await api.grant(admin, id, userId, role);
  return user;
}

/** The function that takes the endpoints out again, for the Keystone may have others after this one. */
async function register(api: KeystoneApi, admin: string, region: string, url: string): Promise<() => Promise<void>> {
  const known = (await api.must('GET', '/services?type=image', { token: admin })).at('services.0.id');
  const service =
    typeof known === 'string' ? known : (await api.create(admin, 'service', { type: 'image', name: 'glance' })).id;
  const ids: string[] = [];
  for (const each of ['public', 'internal', 'admin'])
    ids.push(
      (await api.create(admin, 'endpoint', { service_id: service, interface: each, region_id: region, url })).id,
    );
  return async () => {
    for (const id of ids) await api.must('DELETE', `/endpoints/${id}`, { token: admin });
  };
}

/** Takes about 20 s. `region` is that of the Keystone, which is shared with whoever asks for the same one. */
export async function startCloudGlance({ region }: { readonly region: string }): Promise<CloudGlance> {
  const [dir, keystone] = await Promise.all([prepareGlance(), lendKeystone({ region })]);
  const api = createKeystoneApi(keystone.url);
  const admin = await api.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
  const glance = await startGlance(dir, { authUrl: keystone.url, user: await addServiceUser(api, admin) });
  const unregister = await register(api, admin, region, glance.url);
  const stop = async () => {
    await unregister();
    await glance.stop();
  };
  return { keystone, region, url: glance.url, stop };
}
