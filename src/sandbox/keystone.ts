/**
 * An embedded Keystone: the Identity API v3 over HTTP as Keystone 22 answers it, in memory, for the demo and the tests.
 * Not a place for real users: passwords are kept as they are.
 */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../core/clock.ts';
import { Faults } from './keystone/faults.ts';
import { createServer, type SeenRequest } from './keystone/server.ts';
import { KeystoneState } from './keystone/state.ts';
import { createTokenFormat, type TokenProvider } from './keystone/tokenFormat.ts';
import { Tokens } from './keystone/tokens.ts';

export interface SandboxKeystoneOptions {
  readonly host?: string;
  /** 0, the default, is any free port. */
  readonly port?: number;
  readonly region?: string;
  readonly adminPassword?: string;
  /** Users with the role member in the project demo, beside the user demo. */
  readonly users?: readonly { readonly name: string; readonly password: string }[];
  readonly tokenLifeMs?: number;
  /** `fernet` by default. */
  readonly tokenProvider?: TokenProvider;
  readonly clock?: Clock;
}

export interface SandboxKeystone {
  /** For `keystone.auth_url`: ends with `/v3`. */
  readonly url: string;
  readonly port: number;
  readonly region: string;
  /** Of the user admin, domain Default, project admin, role admin. */
  readonly adminPassword: string;
  /** Of the user demo, domain Default, project demo, role member. */
  readonly demoPassword: string;
  /** What signs tokens of the JWS provider, public half, PEM; else null. */
  readonly tokenKeyPem: string | null;
  readonly faults: Faults;
  readonly state: KeystoneState;
  /** What was asked so far, the latest 10,000 requests. */
  readonly requests: readonly SeenRequest[];
  /** Resolves once the port is free and every connection closed. */
  stop(): Promise<void>;
}

const newPassword = (): string => randomBytes(18).toString('base64url');

/** What `keystone-manage bootstrap` makes, and a project demo with its user. */
function bootstrap(state: KeystoneState, passwords: { readonly admin: string; readonly demo: string }): void {
  state.domains.set('default', {
    id: 'default',
    name: 'Default',
    description: 'The default domain',
    enabled: true,
  });
  const reader = state.addRole('reader', { immutable: true });
  const member = state.addRole('member', { immutable: true, implies: [reader.id] });
  const admin = state.addRole('admin', { immutable: true, implies: [member.id] });
  state.addRole('service');

  const description = 'Bootstrap project for initializing the cloud.';
  const adminProject = state.addProject('admin', { description });
  const adminUser = state.addUser('admin', passwords.admin);
  state.grant(adminUser.id, admin.id, { kind: 'project', id: adminProject.id });
  state.grant(adminUser.id, admin.id, { kind: 'system' });

  const demoProject = state.addProject('demo');
  const demoUser = state.addUser('demo', passwords.demo, { defaultProjectId: demoProject.id });
  state.grant(demoUser.id, member.id, { kind: 'project', id: demoProject.id });
}

function addUsers(state: KeystoneState, users: SandboxKeystoneOptions['users'] = []): void {
  const project = [...state.projects.values()].find(({ name }) => name === 'demo')!;
  const member = [...state.roles.values()].find(({ name }) => name === 'member')!;
  for (const { name, password } of users) {
    const user = state.addUser(name, password, { defaultProjectId: project.id });
    state.grant(user.id, member.id, { kind: 'project', id: project.id });
  }
}

export async function startSandboxKeystone(options: SandboxKeystoneOptions = {}): Promise<SandboxKeystone> {
  const { host = '127.0.0.1', region = 'RegionOne' } = options;
  const adminPassword = options.adminPassword ?? newPassword();
  const demoPassword = newPassword();
  const state = new KeystoneState(options.clock ?? systemClock);
  bootstrap(state, { admin: adminPassword, demo: demoPassword });
  addUsers(state, options.users);

  const faults = new Faults();
  const requests: SeenRequest[] = [];
  const format = createTokenFormat(options.tokenProvider ?? 'fernet');
  const tokens = new Tokens(state, options.tokenLifeMs ?? 3600_000, format);
  let url = '';
  const app = createServer({ state, tokens, faults, requests, base: () => url });
  await app.listen({ host, port: options.port ?? 0 });
  const { port } = app.server.address() as AddressInfo;
  url = `http://${host.includes(':') ? `[${host}]` : host}:${port}/v3`;

  const identity = state.addService('identity', 'keystone');
  for (const each of ['public', 'internal', 'admin'])
    state.addEndpoint({ serviceId: identity.id, interface: each, regionId: region, url });
  const stop = async () => {
    faults.clear();
    await app.close();
  };
  const { publicKeyPem: tokenKeyPem } = format;
  return { url, port, region, adminPassword, demoPassword, tokenKeyPem, faults, state, requests, stop };
}
