/** Programs of this machine's packages, each in a directory and process group of its own, on loopback only. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const startTimeoutMs = 90_000;
const stopTimeoutMs = 10_000;

export const run = promisify(execFile);

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

/** A new directory, removed at the latest when this process ends. */
export function serverDirectory(name: string, parent = process.env.ALLIANCE_OPENSTACK_DIR ?? tmpdir()): string {
  const dir = mkdtempSync(join(parent, `alliance-${name}-`));
  leftovers.set(dir, undefined);
  return dir;
}

function removeDirectory(dir: string): void {
  leftovers.delete(dir);
  rmSync(dir, { recursive: true, force: true });
}

/** Without WAL, parallel requests fail with "database is locked". */
const wal = `import sqlite3, sys
assert sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode=WAL').fetchone()[0] == 'wal'
`;

export const switchToWal = (database: string) => run('/usr/bin/python3', ['-c', wal, database]);

export interface ServerOptions {
  /** Of `serverDirectory`; one server in each. */
  readonly dir: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** It is ready as soon as this answers, whatever it says, unless that is its own failure. */
  readonly url: string;
}

async function untilReady({ url, dir, command }: ServerOptions, hasEnded: () => boolean): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  const answers = () =>
    fetch(url, { redirect: 'manual' }).then(
      ({ status }) => status < 500,
      () => false,
    );
  while (!(await answers())) {
    if (hasEnded() || Date.now() > deadline)
      throw new Error(`${command} did not start:\n${readFileSync(join(dir, 'stderr'), 'utf8').slice(-4000)}`);
    await sleep(100);
  }
}

/** Its output goes to the files `stdout` and `stderr`, its process group to `pid`. The function that ends it and removes its directory. */
export async function startServer(options: ServerOptions): Promise<() => Promise<void>> {
  const { dir, command, args, env } = options;
  const [out, err] = ['stdout', 'stderr'].map((name) => openSync(join(dir, name), 'a'));
  const child = spawn(command, args, {
    detached: true,
    stdio: ['ignore', out, err],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: dir, ...env },
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${command} cannot be run.`);
  leftovers.set(dir, pid);
  writeFileSync(join(dir, 'pid'), String(pid));
  const ended = once(child, 'exit');
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  await untilReady(options, hasEnded);
  const end = async () => {
    endGroup(pid, 'SIGTERM');
    const timer = setTimeout(() => endGroup(pid, 'SIGKILL'), stopTimeoutMs);
    if (!hasEnded()) await ended;
    clearTimeout(timer);
    // Children of its own, should it have left any.
    endGroup(pid, 'SIGKILL');
    removeDirectory(dir);
  };
  let ending: Promise<void> | undefined;
  return () => {
    ending ??= end();
    return ending;
  };
}
