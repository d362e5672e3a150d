/** Real Keystones of this machine's packages. */
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePort } from '../../src/server/freePort.ts';

import type { RunningKeystone } from '../support/keystoneApi.ts';
import { run, serverDirectory, startServer, switchToWal } from './servers.ts';

export interface RealKeystone extends RunningKeystone {
  /** Directory of the public keys that its JWS tokens are verified with; empty where it makes Fernet tokens. */
  readonly jwsKeys: string;
}

export interface RealKeystoneOptions {
  readonly region: string;
  /** What its tokens are; default Fernet. */
  readonly provider?: 'fernet' | 'jws';
}

const configuration = (dir: string, provider: string) => `[DEFAULT]
log_file = ${dir}/keystone.log
[database]
connection = sqlite:///${dir}/keystone.db?timeout=30
[token]
provider = ${provider}
[fernet_tokens]
key_repository = ${dir}/fernet-keys
[jwt_tokens]
jws_public_key_repository = ${dir}/jws-keys/public
jws_private_key_repository = ${dir}/jws-keys/private
[fernet_receipts]
key_repository = ${dir}/receipt-keys
[credential]
key_repository = ${dir}/credential-keys
[cache]
enabled = true
backend = dogpile.cache.memory
[identity]
password_hash_rounds = 4
`;

/** Keystone reads sys.argv, which is gunicorn's. */
const application = `import sys
sys.argv = sys.argv[:1]
from keystone.server.wsgi import initialize_public_application
application = initialize_public_application()
`;

const manage = (dir: string, args: readonly string[], cwd = dir) =>
  run('/usr/bin/keystone-manage', ['--config-file', join(dir, 'keystone.conf'), ...args], { cwd });

function configure(dir: string, provider: string): void {
  writeFileSync(join(dir, 'keystone.conf'), configuration(dir, provider));
  writeFileSync(join(dir, 'alliance_keystone.py'), application);
}

/** Its tables take longest, and are the same for all. */
let tables: Promise<string> | undefined;

async function makeTables(): Promise<string> {
  const dir = serverDirectory('keystone-tables');
  configure(dir, 'fernet');
  await manage(dir, ['db_sync']);
  return join(dir, 'keystone.db');
}

/** As `keystone-manage fernet_setup` and `credential_setup` leave them: a staged key and a primary one. */
function makeFernetKeys(dir: string): void {
  mkdirSync(dir, { mode: 0o700 });
  for (const name of ['0', '1'])
    writeFileSync(join(dir, name), `${randomBytes(32).toString('base64url')}=`, { mode: 0o600 });
}

async function makeJwsKeys(dir: string): Promise<void> {
  for (const name of ['', 'public', 'private']) mkdirSync(join(dir, 'jws-keys', name), { mode: 0o700 });
  const id = await Promise.all(['-un', '-gn'].map((flag) => run('id', [flag])));
  const [user, group] = id.map(({ stdout }) => stdout.trim());
  const made = join(dir, 'jws-keys');
  await manage(dir, ['create_jws_keypair', '--keystone-user', user!, '--keystone-group', group!], made);
  for (const kind of ['public', 'private']) copyFileSync(join(made, `${kind}.pem`), join(made, kind, `${kind}.pem`));
}

async function prepare(
  dir: string,
  url: string,
  { region, provider = 'fernet' }: RealKeystoneOptions,
  adminPassword: string,
): Promise<void> {
  configure(dir, provider);
  for (const name of ['fernet-keys', 'receipt-keys', 'credential-keys']) makeFernetKeys(join(dir, name));
  if (provider === 'jws') await makeJwsKeys(dir);
  tables ??= makeTables();
  copyFileSync(await tables, join(dir, 'keystone.db'));
  await switchToWal(join(dir, 'keystone.db'));
  const urls = ['admin', 'internal', 'public'].flatMap((each) => [`--bootstrap-${each}-url`, url]);
  await manage(dir, ['bootstrap', '--bootstrap-password', adminPassword, ...urls, '--bootstrap-region-id', region]);
}

/** Takes about 10 s; the first request of a kind after that is slow as well. */
export async function startRealKeystone(options: RealKeystoneOptions): Promise<RealKeystone> {
  const dir = serverDirectory('keystone');
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}/v3`;
  const adminPassword = randomBytes(18).toString('hex');
  await prepare(dir, url, options, adminPassword);
  const workers = ['--worker-class', 'gthread', '--workers', '1', '--threads', '8', '--keep-alive', '65'];
  const stop = await startServer({
    dir,
    command: '/usr/bin/gunicorn',
    args: [...workers, '--bind', `127.0.0.1:${port}`, '--chdir', dir, 'alliance_keystone:application'],
    env: { OS_KEYSTONE_CONFIG_FILES: join(dir, 'keystone.conf') },
    url,
  });
  return { url, region: options.region, adminPassword, jwsKeys: join(dir, 'jws-keys', 'public'), stop };
}

const shared = new Map<string, Promise<RealKeystone>>();

/** One for each region, and for all tests of this process, which take names of their own in it: starting one takes long. */
export function sharedKeystone(options: RealKeystoneOptions): Promise<RealKeystone> {
  const known = shared.get(options.region) ?? startRealKeystone(options);
  shared.set(options.region, known);
  return known;
}

/** The same, and whoever stops it only gives it back. */
export const lendKeystone = async (options: RealKeystoneOptions): Promise<RealKeystone> => ({
  ...(await sharedKeystone(options)),
  stop: async () => undefined,
});
