/** What runs before `npm start` and `npm test`, in a small project of its own, with an npm that only notes what it was asked. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { projectPath } from '../support/project.ts';

const fakeNpm = `
const fs = require('node:fs');
fs.appendFileSync('npm.log', process.argv.slice(2).join(' ') + '\\n');
if (process.env.FAKE_NPM_FAILS) process.exit(1);
fs.mkdirSync('node_modules', { recursive: true });
for (const name of ['typescript', '@types'])
  if (!fs.existsSync('node_modules/' + name)) fs.symlinkSync(process.env.REAL_MODULES + '/' + name, 'node_modules/' + name);
`;

const lockFile = (version: string): string =>
  JSON.stringify({ packages: { '': {}, 'node_modules/better-sqlite3': { version } } });

describe('ensure', function () {
  this.timeout(60_000);
  let project: TemporaryDirectory;

  beforeEach(() => {
    project = temporaryDirectory();
    for (const name of ['scripts', 'tsconfig.json', 'tsconfig.build.json', 'package.json'])
      cpSync(projectPath(name), project.file(name), { recursive: true });
    writeFileSync(project.file('package-lock.json'), lockFile('1.0.0'));
    writeFileSync(project.file('npm.cjs'), fakeNpm);
    mkdirSync(project.file('src/gen'), { recursive: true });
    writeFileSync(project.file('src/main.ts'), 'export const answer: number = 1;\n');
    writeFileSync(project.file('src/gen/package.json'), '{ "type": "commonjs" }');
  });
  afterEach(() => project.remove());

  const ensure = (what: string, env: Record<string, string> = {}) =>
    spawnSync(process.execPath, [project.file('scripts/ensure.mjs'), what], {
      cwd: project.path,
      encoding: 'utf8',
      env: { ...process.env, npm_execpath: project.file('npm.cjs'), REAL_MODULES: projectPath('node_modules'), ...env },
    });
  const npmCalls = (): string[] =>
    existsSync(project.file('npm.log')) ? readFileSync(project.file('npm.log'), 'utf8').trim().split('\n') : [];
  const builtAt = (): number => statSync(project.file('dist/src/main.js')).mtimeMs;

  it('installs once, and again when the lock file changes', () => {
    expect(ensure('test').status).to.equal(0);
    const second = ensure('test');
    expect(second).to.include({ status: 0, stdout: '', stderr: '' });
    expect(npmCalls()).to.deep.equal(['ci --include=dev --no-audit --no-fund']);
    writeFileSync(project.file('package-lock.json'), lockFile('2.0.0'));
    ensure('test');
    expect(npmCalls()).to.have.length(2);
  });

  it('fails with npm, and tries again next time', () => {
    const failed = ensure('test', { FAKE_NPM_FAILS: '1' });
    expect(failed.status).to.equal(1);
    expect(failed.stderr).to.include('npm ci failed');
    expect(ensure('test').status).to.equal(0);
    expect(npmCalls()).to.have.length(2);
  });

  it('takes packages that npm ci installed by hand, if they load', () => {
    mkdirSync(project.file('node_modules'));
    const record = join('node_modules', '.package-lock.json');
    writeFileSync(project.file(record), lockFile('1.0.0'));
    symlinkSync(projectPath('node_modules/better-sqlite3'), project.file('node_modules/better-sqlite3'));
    expect(ensure('test').status).to.equal(0);
    expect(npmCalls()).to.deep.equal([]);
    rmSync(project.file('node_modules/.alliance-installed'));
    rmSync(project.file('node_modules/better-sqlite3'));
    ensure('test');
    expect(npmCalls()).to.have.length(1);
  });

  it('builds for start, and only what is stale', () => {
    ensure('test');
    expect(existsSync(project.file('dist'))).to.equal(false);
    expect(ensure('start').status).to.equal(0);
    expect(existsSync(project.file('dist/src/gen/package.json'))).to.equal(true);
    const first = builtAt();
    expect(ensure('start')).to.include({ status: 0, stderr: '' });
    expect(builtAt()).to.equal(first);
    writeFileSync(project.file('src/other.ts'), 'export const b = 2;\n');
    ensure('start');
    expect(builtAt()).to.be.greaterThan(first);
    rmSync(project.file('src/other.ts'));
    ensure('start');
    expect(existsSync(project.file('dist/src/other.js'))).to.equal(false);
  });

  it('builds again what was interrupted or does not compile', () => {
    writeFileSync(project.file('src/main.ts'), 'export const answer: string = 1;\n');
    const broken = ensure('start');
    expect(broken.status).to.equal(1);
    expect(broken.stderr).to.include('TS2322');
    expect(ensure('start').status).to.equal(1);
    writeFileSync(project.file('src/main.ts'), 'export const answer = 1;\n');
    expect(ensure('start').status).to.equal(0);
    rmSync(project.file('dist/src/main.js'));
    expect(ensure('start').status).to.equal(0);
    expect(builtAt()).to.be.greaterThan(0);
  });

  it('refuses an old Node in words', () => {
    const preload = "Object.defineProperty(process, 'versions', { value: { node: '20.18.9' } })";
    const old = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${preload}`, project.file('scripts/ensure.mjs'), 'test'],
      { encoding: 'utf8' },
    );
    expect(old.status).to.equal(1);
    expect(old.stderr).to.match(/^Alliance needs Node 20\.19 or later/);
  });
});
