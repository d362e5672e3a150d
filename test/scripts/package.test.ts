/** What `npm pack` would publish, from a build of its own, so that no running broker loses its files. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../support/directory.ts';
import { projectPath } from '../support/project.ts';

interface SourceMap {
  readonly sources: string[];
  readonly sourcesContent?: (string | null)[];
}

const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

describe('package', () => {
  const copy = temporaryDirectory();
  let packed: string[] = [];
  after(() => copy.remove());

  before(function () {
    this.timeout(120_000);
    const build = spawnSync(process.execPath, [projectPath('scripts/build.mjs'), '--out', copy.file('dist')]);
    expect(build.status, String(build.stderr)).to.equal(0);
    for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'etc', 'thrift', 'test'])
      if (existsSync(projectPath(name))) cpSync(projectPath(name), copy.file(name), { recursive: true });
    const pack = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: copy.path,
      encoding: 'utf8',
    });
    const [result] = Object.values(JSON.parse(pack.stdout) as Record<string, { files: { path: string }[] }>);
    packed = result!.files.map(({ path }) => path);
  });

  it('has the program, the library, its types, and no tests', () => {
    const { bin, exports } = json(copy.file('package.json'));
    for (const path of [bin.alliance, exports['.'].default, exports['.'].types])
      expect(packed).to.include(path.replace(/^\.\//, ''));
    expect(packed).to.include.members(['package.json', 'LICENSE', 'thrift/AllianceService.thrift']);
    expect(packed).to.include.members(['dist/src/gen/AllianceService.js', 'dist/src/gen/package.json']);
    expect(
      packed.filter((path) => /(^|\/)(test|bench|scripts|node_modules|coverage)\/|\.ts$/.test(path)),
    ).to.deep.equal(packed.filter((path) => path.startsWith('dist/src/') && path.endsWith('.d.ts')));
  });

  it('has every source map that its files name, with the sources in it', () => {
    let maps = 0;
    for (const path of packed.filter((name) => name.endsWith('.js'))) {
      const map = /\/\/# sourceMappingURL=(.*)/.exec(readFileSync(copy.file(path), 'utf8'))?.[1];
      if (map === undefined) continue;
      const mapPath = join(path, '..', map);
      expect(packed).to.include(mapPath);
      const { sources, sourcesContent } = json(copy.file(mapPath)) as SourceMap;
      expect(sourcesContent, mapPath).to.have.length(sources.length);
      for (const content of sourcesContent ?? []) expect(content, mapPath).to.be.a('string');
      maps += 1;
    }
    expect(maps).to.be.greaterThan(20);
  });

  it('starts by a line that names Node', () => {
    expect(readFileSync(copy.file('dist/src/main.js'), 'utf8').split('\n')[0]).to.equal('#!/usr/bin/env node');
  });

  it('names no file that a type declaration cannot find', () => {
    for (const path of packed.filter((name) => name.endsWith('.d.ts')))
      for (const [, to = ''] of readFileSync(copy.file(path), 'utf8').matchAll(/from ['"](\.[^'"]+)['"]/g)) {
        const target = join(path, '..', to).replace(/\.(js|ts)$/, '.d.ts');
        expect(packed, `${path} -> ${to}`).to.include(target);
      }
  });

  it('has a lock file that npm ci accepts on every platform', async () => {
    const { missingPackages } = await import(projectPath('scripts/lock.mjs'));
    expect(missingPackages(json(projectPath('package-lock.json')))).to.deep.equal([]);
  });
});
