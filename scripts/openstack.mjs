/**
 * `npm run test:openstack`: the contracts of a Keystone and of a facade, the story of two brokers, projects that one has the other
 * make, and services behind a facade, with real Keystones, the real keystonemiddleware and a real Glance on loopback.
 *
 * Whatever was started is ended, also on Ctrl-C and where the tests were killed: each server leaves the id of its process
 * group in this run's own directory.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, tool } from './tree.mjs';

const timeLimitMs = 6 * 60_000;
const packages = {
  keystone: '/usr/bin/keystone-manage',
  gunicorn: '/usr/bin/gunicorn',
  glance: '/usr/bin/glance-api',
  'python3-keystonemiddleware': '/usr/lib/python3/dist-packages/keystonemiddleware',
};
const policy = '/usr/sbin/policy-rc.d';

const missing = () => Object.keys(packages).filter((name) => !existsSync(packages[name]));

function aptGet(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', args, { stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0;
}

/** The packages are wanted for their programs: no service of theirs is started. */
function withoutServices(work) {
  if (existsSync(policy)) return work();
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return work();
  } finally {
    rmSync(policy);
  }
}

function install(names) {
  console.log(`Installing ${names.join(', ')} ...`);
  const once = () => aptGet('install', '-y', '--no-install-recommends', ...names);
  return withoutServices(() => once() || (aptGet('update') && once()));
}

/** Installs what is missing where that is allowed, else says what to do. */
function ensurePackages() {
  const names = missing();
  if (names.length === 0) return;
  const allowed = process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;
  if (allowed && install(names) && missing().length === 0) return;
  console.error(`These tests need the Debian packages ${missing().join(', ')}, which are not installed.`);
  console.error(`As root: apt-get install -y --no-install-recommends ${missing().join(' ')}`);
  process.exit(1);
}

/** Ends servers that outlived the tests, and removes their directories. */
function sweep(directory) {
  for (const name of readdirSync(directory)) {
    const file = join(directory, name, 'pid');
    if (!existsSync(file)) continue;
    try {
      process.kill(-Number(readFileSync(file, 'utf8')), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  rmSync(directory, { recursive: true, force: true });
}

ensurePackages();
const directory = mkdtempSync(join(tmpdir(), 'alliance-openstack-'));
const options = ['--no-config', '--import=tsx', '--timeout=120000', '--forbid-only', '--exit'];
const started = Date.now();
const tests = spawn(
  process.execPath,
  [tool('mocha', 'bin/mocha.js'), ...options, ...process.argv.slice(2), 'test/openstack/**/*.test.ts'],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ALLIANCE_OPENSTACK_DIR: directory } },
);

let interrupted;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    interrupted = signal;
    tests.kill(signal);
  });
const timer = setTimeout(() => {
  console.error(`The tests take longer than ${timeLimitMs / 60_000} minutes.`);
  tests.kill('SIGKILL');
}, timeLimitMs);

tests.on('exit', (code) => {
  clearTimeout(timer);
  sweep(directory);
  console.log(`test:openstack took ${Math.round((Date.now() - started) / 1000)} s.`);
  process.exit(interrupted ? 128 + constants.signals[interrupted] : (code ?? 1));
});
