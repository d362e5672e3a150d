/** What a Keystone must do for this broker; the same for the embedded one and for a real one. */
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin, type RunningKeystone } from './keystoneApi.ts';
import { describeAdministration } from './keystoneContractAdministration.ts';
import { describeAuthentication } from './keystoneContractAuthentication.ts';
import { describeBroker } from './keystoneContractBroker.ts';
import { describeLocalise } from './keystoneContractLocalise.ts';
import { describeLookups } from './keystoneContractLookups.ts';
import { describeProjects } from './keystoneContractProjects.ts';
import { describeResources } from './keystoneContractResources.ts';
import { describeTokens } from './keystoneContractTokens.ts';

/** A running Keystone and its administrator, open while the tests of a suite run. */
export interface Bench {
  readonly keystone: RunningKeystone;
  readonly api: KeystoneApi;
  /** Token of the administrator for the project admin. */
  readonly admin: string;
  /** A user with one role in a project of its own, which is its default project. */
  newUser(role?: string): Promise<BenchUser>;
}

export interface BenchUser {
  readonly id: string;
  readonly name: string;
  readonly password: string;
  readonly project: { readonly id: string; readonly name: string };
  /** Body of a login scoped to the project. */
  readonly login: object;
  readonly token: string;
}

let serial = 0;

async function newUser(api: KeystoneApi, admin: string, role: string): Promise<BenchUser> {
  serial += 1;
  const name = `user-${Date.now().toString(36)}-${serial}`;
  const password = `secret-of-${name}`;
  const project = await api.create(admin, 'project', { name: `project-of-${name}` });
  const user = await api.create(admin, 'user', { name, password, default_project_id: project.id });
  await api.grant(admin, project.id, user.id, role);
  const login = passwordLogin(name, password, { project: { id: project.id } });
  const token = await api.login(login);
  return { id: user.id, name, password, project: { id: project.id, name: `project-of-${name}` }, login, token };
}

export function describeKeystone(name: string, open: () => Promise<RunningKeystone>): void {
  describe(name, () => {
    let bench: Bench | undefined;
    const current = (): Bench => bench!;

    before(async () => {
      const keystone = await open();
      const api = createKeystoneApi(keystone.url);
      const admin = await api.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
      bench = { keystone, api, admin, newUser: (role = 'member') => newUser(api, admin, role) };
    });
    after(() => bench?.keystone.stop());

    describeAuthentication(current);
    describeTokens(current);
    describeResources(current);
    describeAdministration(current);
    describeBroker(current);
    describeLookups(current);
    describeProjects(current);
    describeLocalise(current);
  });
}
