/** Keystones to measure against: Debian's own under gunicorn where it is installed, else the embedded one. */
import { existsSync } from 'node:fs';
import { startSandboxKeystone } from '../src/sandbox/keystone.ts';
import { createKeystoneApi, inDefault, passwordLogin, type RunningKeystone } from '../test/support/keystoneApi.ts';

export const isRealInstalled = (): boolean =>
  ['/usr/bin/keystone-manage', '/usr/bin/gunicorn'].every((path) => existsSync(path));

export async function startKeystone(region: string, real: boolean): Promise<RunningKeystone> {
  if (!real) return startSandboxKeystone({ region });
  const { startRealKeystone } = await import('../test/openstack/support.ts');
  return startRealKeystone({ region });
}

/** Somebody with the role member in a project, and how to get tokens of theirs. */
export interface Member {
  issue(): Promise<string>;
  /** That many different ones. */
  issueMany(count: number): Promise<string[]>;
}

/** Logins at a time: as many as the real one has threads. */
const parallelLogins = 8;
const password = 'of the benchmark';

export const adminOf = ({ url, adminPassword }: RunningKeystone): Promise<string> =>
  createKeystoneApi(url).login(passwordLogin('admin', adminPassword, { project: inDefault('admin') }));

/** Makes the user and the project, both of this name. */
export async function createMember(keystone: RunningKeystone, name: string): Promise<Member> {
  const api = createKeystoneApi(keystone.url);
  const admin = await adminOf(keystone);
  const { id: projectId } = await api.create(admin, 'project', { name, domain_id: 'default' });
  const { id: userId } = await api.create(admin, 'user', { name, password, domain_id: 'default' });
  await api.grant(admin, projectId, userId, 'member');
  const issue = () => api.login(passwordLogin(name, password, { project: inDefault(name) }));
  const issueMany = async (count: number): Promise<string[]> => {
    const tokens: string[] = [];
    let started = 0;
    const worker = async (): Promise<void> => {
      while (started++ < count) tokens.push(await issue());
    };
    await Promise.all(Array.from({ length: parallelLogins }, worker));
    return tokens;
  };
  return { issue, issueMany };
}

/** Ends a token, as its user does by logging out. */
export async function revoke({ url }: RunningKeystone, token: string): Promise<void> {
  await createKeystoneApi(url).must('DELETE', '/auth/tokens', { token, subject: token });
}
