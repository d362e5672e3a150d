/** Services of west behind the real keystonemiddleware. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePort } from '../../src/server/freePort.ts';

import { projectPath } from '../support/project.ts';
import { serverDirectory, startServer } from './servers.ts';

export interface ServiceUser {
  readonly name: string;
  readonly password: string;
}

export interface AuthTokenOptions {
  /** The one line that makes the difference: of the Keystone, or of the facade. */
  readonly authUrl: string;
  readonly user: ServiceUser;
  /** Seconds that the service remembers answers; -1: not at all; default as the middleware has it. */
  readonly cacheTime?: number;
}

/** A section `keystone_authtoken` as guides of OpenStack have it. */
export const authTokenSection = ({ authUrl, user, cacheTime }: AuthTokenOptions): string => `[keystone_authtoken]
www_authenticate_uri = ${authUrl}
auth_url = ${authUrl}
auth_type = password
project_domain_name = Default
user_domain_name = Default
project_name = service
username = ${user.name}
password = ${user.password}
service_token_roles = service
service_token_roles_required = true
${cacheTime === undefined ? '' : `token_cache_time = ${cacheTime}\n`}`;

export interface ServiceAnswer {
  readonly status: number;
  /** What the middleware told the service, names in lower case; null where the request did not get through. */
  readonly headers: Readonly<Record<string, string>> | null;
}

export interface Service {
  /** Its configuration file. */
  readonly conf: string;
  ask(token: string | undefined, serviceToken?: string): Promise<ServiceAnswer>;
  stop(): Promise<void>;
}

/** `configuration`: the text of its file. */
export async function startService(configuration: string): Promise<Service> {
  const dir = serverDirectory('service');
  const conf = join(dir, 'service.conf');
  writeFileSync(conf, configuration);
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}/`;
  const args = ['-B', '-W', 'ignore', projectPath('test', 'openstack', 'service.py'), conf, String(port)];
  const stop = await startServer({ dir, command: '/usr/bin/python3', args, url });
  return {
    conf,
    ask: async (token, serviceToken) => {
      const answer = await fetch(url, {
        headers: {
          ...(token !== undefined && { 'x-auth-token': token }),
          ...(serviceToken !== undefined && { 'x-service-token': serviceToken }),
        },
      });
      const text = await answer.text();
      return { status: answer.status, headers: answer.status === 200 ? JSON.parse(text) : null };
    },
    stop,
  };
}
