/**
 * `npm run check`: everything that can be said about the sources without running services of others. Every step runs, also after one
 * failed, and the last lines say which did. `npm run check -- types lint` runs only those.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { filesBelow, root, run, tool } from './tree.mjs';

const node = (...args) => run(process.execPath, args);

/** Files of nothing but types: no process ever loads them, so c8 would count each of their lines as missed. */
function onlyTypes() {
  const compiled = filesBelow('dist/src').filter((path) => path.endsWith('.js'));
  return compiled.filter((path) => /^(export \{\};|\s|\/\/.*)*$/.test(readFileSync(join(root, path), 'utf8')));
}

/** The suite on the built code under plain Node; c8 counts the processes that tests start as well, and reports on src/. */
function suite() {
  const mocha = [
    tool('mocha', 'bin/mocha.js'),
    '--no-config',
    '--timeout=20000',
    '--forbid-only',
    '--retries=1',
    '--parallel',
    '--jobs=3',
  ];
  const ignored = ['openstack', 'interop', 'crash'].map((folder) => `--ignore=dist/test/${folder}/**`);
  const excluded = ['dist/src/gen/**', '**/*.d.ts', ...onlyTypes()].map((path) => `--exclude=${path}`);
  return node(tool('c8', 'bin/c8.js'), ...excluded, process.execPath, ...mocha, ...ignored, 'dist/test/**/*.test.js');
}

const steps = {
  types: () => node(tool('typescript', 'bin/tsc'), '-p', 'tsconfig.json', '--noEmit'),
  lint: () => node(tool('@biomejs/biome', 'bin/biome'), 'ci', '.'),
  unused: () => node(tool('knip', 'bin/knip.js')),
  generated: () => node('scripts/generate.mjs', '--check'),
  docs: () => node('--import=tsx', 'scripts/docs.mjs', '--check'),
  build: () => build({ all: true }),
  suite,
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in steps));
if (unknown.length > 0) {
  console.error(`There is no step ${unknown.join(', ')}. Steps: ${Object.keys(steps).join(', ')}.`);
  process.exit(2);
}

process.chdir(root);
const results = Object.entries(steps)
  .filter(([name]) => names.length === 0 || names.includes(name))
  .map(([name, step]) => {
    console.log(`\n== ${name}`);
    const startMs = performance.now();
    const passed = step() === 0;
    return { name, passed, seconds: ((performance.now() - startMs) / 1000).toFixed(1) };
  });

console.log('');
for (const { name, passed, seconds } of results) console.log(`${passed ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
const failed = results.filter(({ passed }) => !passed).length;
console.log(`check: ${results.length - failed} steps passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
