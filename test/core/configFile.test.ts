import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseConfigFile, readConfigFile } from '../../src/core/configFile.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { refusal } from '../support/errors.ts';

describe('configFile', () => {
  const home = temporaryDirectory();
  after(() => home.remove());

  it('is undefined where there is none, and an error where it cannot be read', () => {
    expect(readConfigFile(home.file('none'))).to.equal(undefined);
    mkdirSync(home.file('folder'));
    expect(refusal(() => readConfigFile(home.file('folder')), 'configuration').details).to.include('no regular file');
    writeFileSync(home.file('alliance.yaml'), 'cloud_id: east');
    chmodSync(home.file('alliance.yaml'), 0o600);
    expect(readConfigFile(home.file('alliance.yaml'))?.settings).to.deep.equal({ cloud_id: 'east' });
  });

  const broken: readonly [yaml: string, place: string][] = [
    ['a: 1\nb: [\n', 'alliance.yaml:3:1: '],
    ['a: 1\na: 2\n', 'alliance.yaml:2:1: DUPLICATE_KEY'],
    ['a: 1\n\tb: 2\n', 'alliance.yaml:2:1: '],
    ['a: "x\n', 'alliance.yaml:2:1: '],
    ['a: 1\nb: *S3cret\n', 'alliance.yaml:2:4: UNRESOLVED_ALIAS (text that begins like this needs quotes)'],
    ['a: @S3cret\n', 'alliance.yaml:1:4: BAD_SCALAR_START (text that begins like this needs quotes)'],
    ['a: *S3cret of two\n', 'alliance.yaml:1:'],
    ['S3cret: *S3cret\nS3cret: &S3cret [}S3cret\n', 'alliance.yaml:2:'],
  ];
  for (const [yaml, place] of broken)
    it(`tells line and column of ${JSON.stringify(yaml)}`, () => {
      const { details, cause } = refusal(() => parseConfigFile(yaml), 'configuration');
      expect(details).to.include(place).and.not.include('S3cret');
      expect(cause).to.equal(undefined);
    });

  for (const yaml of ['- a', 'text', '7'])
    it(`refuses ${yaml} for a whole file`, () => void refusal(() => parseConfigFile(yaml), 'configuration'));

  it('refuses aliases that grow without end', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`);
    const bomb = ['l0: &l0 [x]', ...levels].join('\n');
    refusal(() => parseConfigFile(bomb), 'configuration');
  });

  it('takes an empty file and empty sections for defaults', () => {
    expect(parseConfigFile('').settings).to.deep.equal({});
    const { settings } = parseConfigFile('log:\n  # level: info\npartners:\n  west:\nkeystone:\n  region:\n');
    expect(settings).to.deep.equal({ log: {}, partners: { west: {} }, keystone: { region: null } });
  });

  it('reads `off` as a word', () => {
    expect(parseConfigFile('listen: {tls: off}').settings).to.deep.equal({ listen: { tls: 'off' } });
  });

  it('tells the line of a path, if the file has it', () => {
    const file = parseConfigFile('cloud_id: east\nlog:\n  level: info\nadvertise:\n  - a\n  - b\n');
    expect(file.lineOf(['log', 'level'])).to.equal('line 3');
    expect(file.lineOf(['advertise', '1'])).to.equal('line 6');
    expect(file.lineOf(['log', 'x'])).to.equal(undefined);
    expect(file.lineOf(['cloud_id', 'x'])).to.equal(undefined);
    expect(parseConfigFile('').lineOf(['log'])).to.equal(undefined);
  });
});
