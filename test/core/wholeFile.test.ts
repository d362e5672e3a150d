import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { createWhole, giveToOwner, makeDirectory, rewriteWhole, writeWhole } from '../../src/core/wholeFile.ts';
import { temporaryDirectory } from '../support/directory.ts';

describe('whole files', () => {
  const directory = temporaryDirectory();
  const path = directory.file('one');
  after(() => directory.remove());

  it('are replaced by writeWhole, never by createWhole, and leave nothing beside them', () => {
    expect(createWhole(path, 'first', 0o600)).to.equal(true);
    expect(createWhole(path, 'second', 0o600)).to.equal(false);
    expect(readFileSync(path, 'utf8')).to.equal('first');
    chmodSync(path, 0o644);
    writeWhole(path, 'third', 0o600);
    expect(readFileSync(path, 'utf8')).to.equal('third');
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(() => writeWhole(directory.file('nowhere/one'), '', 0o600)).to.throw(/ENOENT/);
    expect(readdirSync(directory.path)).to.deep.equal(['one']);
  });

  it('are rewritten with the mode that they have, and where a link leads to', () => {
    const [link, real] = [directory.file('link'), directory.file('real')];
    rewriteWhole(real, 'a', 0o640);
    chmodSync(real, 0o666);
    symlinkSync(real, link);
    rewriteWhole(link, 'b', 0o600);
    expect([readFileSync(real, 'utf8'), statSync(real).mode & 0o777, lstatSync(link).isSymbolicLink()]).to.deep.equal([
      'b',
      0o666,
      true,
    ]);
    for (const each of [link, real]) rmSync(each);
  });

  it('and directories that root makes belong to whom the directory above belongs to', function () {
    if (process.getuid?.() !== 0) this.skip();
    const home = directory.file('home');
    mkdirSync(home);
    chownSync(home, 65534, 65534);
    const [created, written, given] = ['a/b/created', 'a/written', 'given'].map((name) => `${home}/${name}`) as [
      string,
      string,
      string,
    ];
    makeDirectory(dirname(created));
    createWhole(created, '', 0o600);
    writeWhole(written, '', 0o600);
    writeFileSync(given, '');
    giveToOwner(given);
    for (const each of [created, written, given, `${home}/a`, `${home}/a/b`])
      expect(statSync(each), each).to.include({ uid: 65534, gid: 65534 });
    expect(statSync(`${home}/a/b`).mode & 0o777).to.equal(0o700);
  });
});
