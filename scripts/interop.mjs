/** `npm run test:interop`: the Python client of test/interop against our server. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { run, tool } from './tree.mjs';

/** Debian's own Python: the one that its python3-* packages are for, whatever else is in PATH. */
const python = '/usr/bin/python3';
const modules = { thrift: 'python3-thrift', cryptography: 'python3-cryptography' };

const missing = existsSync(python)
  ? Object.entries(modules).filter(([module]) => spawnSync(python, ['-c', `import ${module}`]).status !== 0)
  : [['python3', 'python3'], ...Object.entries(modules)];
if (missing.length > 0) {
  const packages = missing.map(([, name]) => name).join(' ');
  console.error(`The interop tests need ${python} with ${missing.map(([name]) => name).join(' and ')}.`);
  console.error(`On Debian: apt-get install --no-install-recommends ${packages}`);
  process.exit(1);
}
const options = ['--no-config', '--import=tsx', '--timeout=60000', '--forbid-only'];
process.exitCode = run(process.execPath, [
  tool('mocha', 'bin/mocha.js'),
  ...options,
  ...process.argv.slice(2),
  'test/interop/**/*.test.ts',
]);
