/** Real Keystones of this machine's packages, each in a directory and process group of its own, on loopback only. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RunningKeystone } from '../support/keystoneApi.ts';

const run = promisify(execFile);
const startTimeoutMs = 90_000;
const stopTimeoutMs = 10_000;

const configuration = (dir: string) => `[DEFAULT]
log_file = ${dir}/keystone.log
[database]
connection = sqlite:///${dir}/keystone.db?timeout=30
[token]
provider = fernet
[fernet_tokens]
key_repository = ${dir}/fernet-keys
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

/** Without WAL, parallel requests fail with "database is locked". */
const switchToWal = `import sqlite3, sys
assert sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode=WAL').fetchone()[0] == 'wal'
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** What to end and remove, whichever way this process ends. */
const leftovers = new Map<string, number | undefined>();

function endGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function endEverything(): void {
  for (const [dir, pid] of leftovers) {
    if (pid !== undefined) endGroup(pid, 'SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
  leftovers.clear();
}

process.on('exit', endEverything);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.on(signal, () => process.exit(code));

async function prepare(dir: string, url: string, region: string, adminPassword: string): Promise<void> {
  const file = join(dir, 'keystone.conf');
  writeFileSync(file, configuration(dir));
  writeFileSync(join(dir, 'alliance_keystone.py'), application);
  const manage = (...args: string[]) => run('/usr/bin/keystone-manage', ['--config-file', file, ...args]);
  const { stdout: group } = await run('id', ['-gn']);
  const owner = ['--keystone-user', userInfo().username, '--keystone-group', group.trim()];
  await manage('db_sync');
  await run('/usr/bin/python3', ['-c', switchToWal, join(dir, 'keystone.db')]);
  await manage('fernet_setup', ...owner);
  await manage('credential_setup', ...owner);
  const urls = ['admin', 'internal', 'public'].flatMap((each) => [`--bootstrap-${each}-url`, url]);
  await manage('bootstrap', '--bootstrap-password', adminPassword, ...urls, '--bootstrap-region-id', region);
}

function serve(dir: string, port: number) {
  const files = ['stdout', 'stderr'].map((name) => openSync(join(dir, name), 'a'));
  const options = ['--worker-class', 'gthread', '--workers', '1', '--threads', '8', '--keep-alive', '65'];
  const place = ['--bind', `127.0.0.1:${port}`, '--chdir', dir, '--pid', join(dir, 'pid')];
  return spawn('/usr/bin/gunicorn', [...options, ...place, 'alliance_keystone:application'], {
    detached: true,
    stdio: ['ignore', files[0], files[1]],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: dir, OS_KEYSTONE_CONFIG_FILES: join(dir, 'keystone.conf') },
  });
}

async function untilReady(url: string, dir: string, hasEnded: () => boolean): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  while (
    !(await fetch(url).then(
      (answer) => answer.ok,
      () => false,
    ))
  ) {
    if (hasEnded() || Date.now() > deadline)
      throw new Error(`Keystone did not start:\n${readFileSync(join(dir, 'stderr'), 'utf8').slice(-4000)}`);
    await sleep(100);
  }
}

/** Takes about 10 s; the first request of a kind after that is slow as well. */
export async function startRealKeystone({
  region,
  dir: parent = process.env.ALLIANCE_OPENSTACK_DIR ?? tmpdir(),
}: {
  readonly region: string;
  /** Where to make its directory. */
  readonly dir?: string;
}): Promise<RunningKeystone> {
  const dir = mkdtempSync(join(parent, 'alliance-keystone-'));
  leftovers.set(dir, undefined);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/v3`;
  const adminPassword = randomBytes(18).toString('hex');
  await prepare(dir, url, region, adminPassword);

  const child = serve(dir, port);
  const ended = once(child, 'exit');
  leftovers.set(dir, child.pid);
  await untilReady(url, dir, () => child.exitCode !== null || child.signalCode !== null);

  const stop = async () => {
    const pid = child.pid!;
    endGroup(pid, 'SIGTERM');
    const timer = setTimeout(() => endGroup(pid, 'SIGKILL'), stopTimeoutMs);
    if (child.exitCode === null && child.signalCode === null) await ended;
    clearTimeout(timer);
    leftovers.delete(dir);
    rmSync(dir, { recursive: true, force: true });
  };
  return { url, region, adminPassword, stop };
}
