/**
 * Makes the first command in a fresh clone work: `node scripts/ensure.mjs test|start|bench`, run by npm before the scripts of package.json.
 *
 * `test` needs the packages, `start` the built sources as well, `bench` the built tests and benchmarks too. What is current is left
 * alone. A step that was interrupted leaves no stamp, and is done again. Plain Node: nothing is installed yet when this runs.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Alliance needs Node 20.19 or later, and this is ${process.version}.`);
  process.exit(1);
}

const { hashOf, isProgram, readIf, root, run } = await import('./tree.mjs');
const { build, isBuilt } = await import('./build.mjs');

const modules = join(root, 'node_modules');
const stampPath = join(modules, '.alliance-installed');

/** Changes with the lock file, and with a Node that compiled packages would not load into. */
const stamp = () => hashOf(['package-lock.json'], process.versions.modules, process.platform, process.arch);

/** Packages that `npm ci` installed without us: npm's own record, which it writes last, has what the lock file asks for. */
function installedByHand() {
  const record = readIf(join(modules, '.package-lock.json'));
  if (record === undefined) return false;
  const wanted = Object.entries(JSON.parse(readIf(join(root, 'package-lock.json'))).packages).slice(1);
  const present = JSON.parse(record).packages;
  const current = wanted.every(([path, { version, optional }]) =>
    present[path] ? present[path].version === version : optional,
  );
  const probe = "new (require('better-sqlite3'))(':memory:').close()";
  return current && spawnSync(process.execPath, ['-e', probe], { cwd: root, stdio: 'ignore' }).status === 0;
}

function install() {
  if (readIf(stampPath) === stamp()) return;
  if (!installedByHand()) {
    console.error('Installing packages (npm ci) ...');
    // npm tells its scripts where it is; it is a script itself, and this way needs no shell on any system.
    const npm = process.env.npm_execpath;
    const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
    const stdio = ['ignore', process.stderr, process.stderr];
    const code = npm ? run(process.execPath, [npm, ...args], { stdio }) : run('npm', args, { stdio });
    if (code !== 0) {
      console.error(
        '\nnpm ci failed, see above. better-sqlite3 needs python3, make and a C++ compiler where it has no prebuilt binary.',
      );
      process.exit(1);
    }
  }
  mkdirSync(modules, { recursive: true });
  writeFileSync(stampPath, stamp());
}

function ensure(what) {
  install();
  if (what === 'test') return;
  const all = what === 'bench';
  if (isBuilt({ all })) return;
  console.error('Building ...');
  if (build({ all }) !== 0) process.exit(1);
}

if (isProgram(import.meta)) ensure(process.argv[2]);
