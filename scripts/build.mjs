/**
 * Compiles src/ to dist/src: `npm run build`. With `--all` test/ and bench/ as well, to dist/test and dist/bench; with `--out DIR`
 * to another folder than dist.
 */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { hashOf, isProgram, readIf, root, run, tool } from './tree.mjs';

const dist = join(root, 'dist');
const sources = ['src', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
const everything = [...sources, 'test', 'bench'];
/** Written last and removed first, so that an interrupted build counts as none. */
const stampPath = (all) => join(dist, all ? '.built-all' : '.built');
const stamp = (all) => hashOf(all ? everything : sources);

/** Whether dist is what a build would make now. */
export const isBuilt = ({ all = false } = {}) =>
  existsSync(join(dist, 'src/main.js')) && readIf(stampPath(all)) === stamp(all);

/** Exit code of the compiler, which also says what is wrong. */
export function build({ all = false, out = dist } = {}) {
  const isOurs = out === dist;
  if (isOurs) for (const each of [true, false]) rmSync(stampPath(each), { force: true });
  // Nothing of a file that no longer exists may stay: its test would still run.
  for (const folder of ['src', ...(all ? ['test', 'bench'] : [])])
    rmSync(join(out, folder), { recursive: true, force: true });
  const project = all ? 'tsconfig.json' : 'tsconfig.build.json';
  const stdio = ['ignore', process.stderr, process.stderr];
  const code = run(process.execPath, [tool('typescript', 'bin/tsc'), '-p', project, '--outDir', out], { stdio });
  if (code !== 0) return code;
  // The compiler takes no part in generated code, which is CommonJS with declarations beside it.
  mkdirSync(join(out, 'src'), { recursive: true });
  cpSync(join(root, 'src/gen'), join(out, 'src/gen'), { recursive: true, filter: (path) => !path.endsWith('.sha256') });
  if (isOurs) {
    writeFileSync(stampPath(false), stamp(false));
    if (all) writeFileSync(stampPath(true), stamp(true));
  }
  return 0;
}

if (isProgram(import.meta)) {
  const at = process.argv.indexOf('--out');
  const out = at < 0 ? dist : resolve(process.argv[at + 1]);
  process.exitCode = build({ all: process.argv.includes('--all'), out });
}
