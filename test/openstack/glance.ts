/** A real Glance of this machine's packages; what it knows of tokens is one line, its auth_url. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePort } from '../../src/server/freePort.ts';

import { run, serverDirectory, startServer, switchToWal } from './servers.ts';
import { type AuthTokenOptions, authTokenSection } from './service.ts';

const stores = ['images', 'tasks', 'staging'];

const configuration = (dir: string, port: number, authToken: string) => `[DEFAULT]
bind_host = 127.0.0.1
bind_port = ${port}
workers = 1
enforce_secure_rbac = true
log_file = ${dir}/glance.log
enabled_backends = fs:file
[database]
connection = sqlite:///${dir}/glance.db?timeout=30
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = ${dir}/images
[os_glance_tasks_store]
filesystem_store_datadir = ${dir}/tasks
[os_glance_staging_store]
filesystem_store_datadir = ${dir}/staging
[paste_deploy]
flavor = keystone
[oslo_concurrency]
lock_path = ${dir}
[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
${authToken}`;

export interface Glance {
  /** Of the API, without a version. */
  readonly url: string;
  /** Its configuration file. */
  readonly conf: string;
  stop(): Promise<void>;
}

/** A directory with its tables, which need nothing of the clouds and can be made while those start. */
export async function prepareGlance(): Promise<string> {
  const dir = serverDirectory('glance');
  for (const name of stores) mkdirSync(join(dir, name));
  const conf = join(dir, 'glance-api.conf');
  writeFileSync(conf, configuration(dir, 0, ''));
  await run('/usr/bin/glance-manage', ['--config-file', conf, 'db_sync']);
  await switchToWal(join(dir, 'glance.db'));
  return dir;
}

/** `dir` is of `prepareGlance`. */
export async function startGlance(dir: string, options: AuthTokenOptions): Promise<Glance> {
  const conf = join(dir, 'glance-api.conf');
  const port = await findFreePort();
  writeFileSync(conf, configuration(dir, port, authTokenSection(options)));
  const url = `http://127.0.0.1:${port}`;
  const stop = await startServer({ dir, command: '/usr/bin/glance-api', args: ['--config-file', conf], url });
  return { url, conf, stop };
}
