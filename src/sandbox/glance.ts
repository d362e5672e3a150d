/**
 * An embedded Glance: the Image API v2 over HTTP as Glance 25 answers it, for the demo and the tests. Images are in memory, and their
 * bytes in temporary files where they are many; both are gone with it.
 */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../core/clock.ts';
import { Contents } from './glance/content.ts';
import { Faults } from './glance/faults.ts';
import type { GlanceImage } from './glance/image.ts';
import { createServer, type SeenRequest } from './glance/server.ts';
import { GlanceState, type Quota } from './glance/state.ts';
import type { SandboxKeystone } from './keystone.ts';
import type { ServiceCredentials } from './service/login.ts';

export type { Fault } from './glance/faults.ts';
export type { GlanceImage } from './glance/image.ts';
export type { SeenRequest } from './glance/server.ts';

export interface SandboxGlanceOptions {
  /**
   * Where tokens are checked. An embedded one also gets a user for that, and the endpoint in its catalog; at any other the user must be
   * there, and registering is left to the caller.
   */
  readonly keystone: SandboxKeystone | ServiceCredentials;
  /** Of the endpoint; default that of the Keystone. */
  readonly region?: string;
  readonly host?: string;
  /** 0, the default, is any free port. */
  readonly port?: number;
  /** Before `/v2` in paths, such as `/image`; none by default. */
  readonly prefix?: string;
  /** For the bytes of large images; absent: a temporary one. */
  readonly directory?: string;
  /** Larger images are kept in files; 64 MiB by default. */
  readonly memoryBytes?: number;
  /** Images on a page, unless a request says otherwise (25 by default), and at most (1000). */
  readonly pageSize?: number;
  readonly mostPerPage?: number;
  /** Seconds that what Keystone says of a token counts; 300 by default, as with the real one. */
  readonly tokenCacheTimeS?: number;
  readonly clock?: Clock;
}

export interface SandboxGlance {
  /** Of the API, without `/v2`. */
  readonly url: string;
  readonly port: number;
  readonly faults: Faults;
  /** What was asked so far, the latest 100,000 requests. */
  readonly requests: readonly SeenRequest[];
  /** By id; tests may look at them and change them. */
  readonly images: ReadonlyMap<string, GlanceImage>;
  /** Of each project; tests may change it at any time. */
  readonly quota: Quota;
  /** Resolves once the port is free, every connection closed and every file gone. */
  close(): Promise<void>;
}

const mib = 1024 * 1024;

/** A user for checking tokens, as `keystone_authtoken` of a service names one. */
function addServiceUser(keystone: SandboxKeystone): ServiceCredentials {
  const { state } = keystone;
  const project = [...state.projects.values()].find(({ name }) => name === 'service') ?? state.addProject('service');
  const role = [...state.roles.values()].find(({ name }) => name === 'admin')!;
  const credentials = {
    username: `glance-${randomBytes(4).toString('hex')}`,
    password: randomBytes(18).toString('hex'),
  };
  const user = state.addUser(credentials.username, credentials.password, { defaultProjectId: project.id });
  state.grant(user.id, role.id, { kind: 'project', id: project.id });
  return { authUrl: keystone.url, projectName: project.name, ...credentials };
}

/** The function that takes the endpoints out again. */
function register(keystone: SandboxKeystone, regionId: string, url: string): () => void {
  const { state } = keystone;
  const service =
    [...state.services.values()].find(({ type }) => type === 'image') ?? state.addService('image', 'glance');
  const endpoints = ['public', 'internal', 'admin'].map((each) =>
    state.addEndpoint({ serviceId: service.id, interface: each, regionId, url }),
  );
  return () => {
    for (const { id } of endpoints) state.endpoints.delete(id);
  };
}

export async function startGlance(options: SandboxGlanceOptions): Promise<SandboxGlance> {
  const { keystone, host = '127.0.0.1', prefix = '', clock = systemClock } = options;
  const { pageSize = 25, mostPerPage = 1000, memoryBytes = 64 * mib, directory, tokenCacheTimeS } = options;
  const embedded = 'state' in keystone ? keystone : null;
  const credentials = 'state' in keystone ? addServiceUser(keystone) : keystone;
  const contents = new Contents({ memoryBytes, ...(directory !== undefined && { directory }) });
  const state = new GlanceState(contents, clock);
  const faults = new Faults();
  const requests: SeenRequest[] = [];
  const auth = { ...credentials, clock, ...(tokenCacheTimeS !== undefined && { tokenCacheTimeS }) };
  const pageSizes = { usual: pageSize, most: mostPerPage };
  const app = createServer({ state, faults, requests, auth, pageSizes, prefix });
  await app.listen({ host, port: options.port ?? 0 });
  const { port } = app.server.address() as AddressInfo;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}${prefix}`;
  const unregister = embedded && register(embedded, options.region ?? embedded.region, url);
  const close = async () => {
    unregister?.();
    faults.close();
    await app.close();
    await contents.close();
  };
  return { url, port, faults, requests, images: state.images, quota: state.quota, close };
}
