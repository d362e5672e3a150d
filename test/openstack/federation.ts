/**
 * Three clouds of real Keystones. West has a facade, services behind it, and two partners whose tokens they accept: east makes Fernet
 * tokens, east2 JWS tokens.
 */
import type { Partner } from '../../src/model/partner.ts';
import { findFreePort } from '../../src/server/freePort.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';
import type { ServiceUser } from './service.ts';
import { lendKeystone, type RealKeystone } from './support.ts';

const password = 'correct horse battery staple';

/** Members of lab are members of guests here, and readers of archive are readers there; nobody else is anybody. */
const rules = ['lab', 'archive'].map((project) => ({
  remote: [{ type: 'openstack_user' }, { type: 'openstack_project', any_one_of: [project] }],
  local: [
    { user: { name: '{0}' } },
    { projects: [{ name: 'guests', roles: [{ name: project === 'lab' ? 'member' : 'reader' }] }] },
  ],
}));

/** What tests do in a cloud as its administrator, and as its users. */
export interface Realm {
  readonly keystone: RealKeystone;
  readonly api: KeystoneApi;
  readonly admin: string;
  /** Ids by name. */
  readonly projects: Readonly<Record<string, string>>;
  readonly users: Readonly<Record<string, string>>;
  login(user: string, project: string): Promise<string>;
}

type People = readonly (readonly [user: string, project: string, role: string])[];

/** Of the one that other tests may have made in the same Keystone. */
export async function projectId(api: KeystoneApi, admin: string, name: string): Promise<string> {
  const known = (await api.must('GET', `/projects?name=${name}`, { token: admin })).at('projects.0.id');
  return typeof known === 'string' ? known : (await api.create(admin, 'project', { name, domain_id: 'default' })).id;
}

async function populate(keystone: RealKeystone, people: People): Promise<Realm> {
  const api = createKeystoneApi(keystone.url);
  const admin = await api.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
  const projects: Record<string, string> = {};
  const users: Record<string, string> = {};
  for (const [user, project, role] of people) {
    projects[project] ??= await projectId(api, admin, project);
    users[user] ??= (await api.create(admin, 'user', { name: user, domain_id: 'default', password })).id;
    await api.grant(admin, projects[project], users[user], role);
  }
  const login = (user: string, project: string) =>
    api.login(passwordLogin(user, password, { project: inDefault(project) }));
  return { keystone, api, admin, projects, users, login };
}

const peopleOfEast: People = [
  ['ann', 'lab', 'member'],
  ['bob', 'lab', 'member'],
  ['rae', 'archive', 'reader'],
  ['eve', 'closed', 'member'],
];
const peopleOfWest: People = [
  ['wes', 'guests', 'member'],
  ['sue', 'private', 'member'],
  ['stock', 'service', 'service'],
  ['nova', 'service', 'service'],
  ['glance', 'service', 'service'],
];

export const serviceUser = (name: 'stock' | 'nova' | 'glance'): ServiceUser => ({ name, password });

export interface Federation {
  readonly east: Realm & { readonly cloud: Cloud };
  readonly east2: Realm & { readonly cloud: Cloud };
  readonly west: Realm & { readonly cloud: Cloud };
  readonly atWest: { readonly east: Partner; readonly east2: Partner };
  /** Ends with `/v3`. */
  readonly facadeUrl: string;
  stop(): Promise<void>;
}

const startRealm = async (region: string, people: People, provider: 'fernet' | 'jws' = 'fernet') =>
  populate(await lendKeystone({ region, provider }), people);

export async function startFederation(): Promise<Federation> {
  const facade = `127.0.0.1:${await findFreePort()}`;
  const [eastRealm, east2Realm, westRealm] = await Promise.all([
    startRealm('east', peopleOfEast),
    startRealm('east2', peopleOfEast.slice(0, 1), 'jws'),
    startRealm('west', peopleOfWest),
  ]);
  const [east, east2, west] = await Promise.all([
    startCloud({ cloudId: 'east', keystone: eastRealm.keystone }),
    startCloud({
      cloudId: 'east2',
      keystone: east2Realm.keystone,
      env: { ALLIANCE_TOKENS__JWS_KEYS: east2Realm.keystone.jwsKeys },
    }),
    startCloud({ cloudId: 'west', keystone: westRealm.keystone, env: { ALLIANCE_FACADE__LISTEN: facade } }),
  ]);
  const { atAcceptor: eastAtWest } = await pairClouds(east, west, { role: 'consumer' });
  const { atAcceptor: east2AtWest } = await pairClouds(east2, west, { role: 'consumer' });
  const { store, view } = west.installation;
  for (const { uid } of [eastAtWest, east2AtWest]) await store.mappings.set(uid, JSON.stringify(rules));
  await view.refresh();
  await until('the keys of east2', () => view.tokenKeys.length > 0, 30_000);
  return {
    east: { ...eastRealm, cloud: east },
    east2: { ...east2Realm, cloud: east2 },
    west: { ...westRealm, cloud: west },
    atWest: { east: eastAtWest, east2: east2AtWest },
    facadeUrl: `http://${facade}/v3`,
    stop: stopClouds,
  };
}
