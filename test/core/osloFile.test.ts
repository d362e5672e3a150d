import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../src/core/errors.ts';
import { type OsloFile, parseOsloFile } from '../../src/core/osloFile.ts';
import { OsloSettings } from '../../src/core/osloSettings.ts';
import { refusal } from '../support/errors.ts';

const read = (text: string) =>
  parseOsloFile(text).entries.map(({ section, key, value }) => [section, key, value.join('|')]);

/** The same as text. */
function format({ entries }: Pick<OsloFile, 'entries'>): string {
  let section: string | undefined;
  return entries
    .flatMap(({ section: own, key, value }) => {
      const heading = own === section ? [] : [`[${own}]`];
      section = own;
      const [first = '', ...more] = value;
      return [...heading, `${key} = "${first}"`, ...more.map((each) => `    ${each}`)];
    })
    .join('\n');
}

describe('files of oslo.config', () => {
  it('are read as oslo.config reads them', () => {
    const text = [
      '# a comment',
      '[DEFAULT]',
      'debug=true',
      '; another',
      '[a b] ',
      'x = 1',
      'x : 2 = 3',
      'long = one',
      '  two # no comment',
      '\tthree',
      '',
      "quoted = 'it is'",
      'half = "it is',
      'empty =',
      '[DEFAULT]',
      'again = \u00e9\r',
    ].join('\n');
    expect(read(text)).to.deep.equal([
      ['DEFAULT', 'debug', 'true'],
      ['a b', 'x', '1'],
      ['a b', 'x', '2 = 3'],
      ['a b', 'long', 'one|two # no comment|three'],
      ['a b', 'quoted', 'it is'],
      ['a b', 'half', '"it is'],
      ['a b', 'empty', ''],
      ['DEFAULT', 'again', '\u00e9'],
    ]);
    expect([...parseOsloFile(text).sections]).to.deep.equal([
      ['DEFAULT', 2],
      ['a b', 5],
    ]);
  });

  for (const [text, line] of [
    ['[a]\nx = 1\n\n  2', 4],
    ['[a]\nx = 1\n# c\n  2', 4],
    ['  x = 1', 1],
    ['[a]\nnothing', 2],
    ['[a]\n= 1', 2],
    ['[a', 1],
    ['[]', 1],
    ['x = 1', 1],
  ] as const)
    it(`name the line of what is wrong in ${JSON.stringify(text)}, and nothing of what stands there`, () => {
      const { field, details } = refusal(() => parseOsloFile(text), 'bad_request');
      expect(field).to.equal(`line ${line}`);
      expect(details).not.to.contain('nothing');
    });

  it('are the same after a round through text', () => {
    const word = fc.stringMatching(/^[A-Za-z0-9_.-]{1,12}$/);
    const value = fc.stringMatching(/^[^\s"'][\x20-\x7e]{0,20}$/).map((text) => text.trim());
    const entry = fc.record({
      section: word,
      key: word.filter((key) => !/^[#;[]/.test(key)),
      value: fc.array(value, { minLength: 1, maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
        const file = { entries: entries.map((each) => ({ ...each, line: 0 })) };
        const again = parseOsloFile(format(file)).entries.map((each) => ({ ...each, line: 0 }));
        expect(again).to.deep.equal(file.entries);
      }),
    );
  });

  it('throw nothing but what says where they are wrong', () => {
    const line = fc.oneof(fc.string(), fc.stringMatching(/^[\s[\]=:#"';ab$]{0,12}$/));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        try {
          const settings = new OsloSettings([parseOsloFile(lines.join('\n'))]);
          settings.find('a', 'b');
        } catch (thrown) {
          expect(thrown).to.be.instanceOf(AllianceError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('settings of oslo.config', () => {
  const settings = (...texts: string[]) => new OsloSettings(texts.map(parseOsloFile));

  it('the last one counts, over all files; by the first name that is set', () => {
    const both = settings('[a]\nx = 1\nx = 2\ny = 1\n', '[A]\ny = 3\nold-name = 4\n');
    expect(both.find('a', 'x')).to.deep.equal({ section: 'a', key: 'x', value: '2', file: 0, line: 3 });
    expect(both.find('a', 'y')).to.deep.include({ value: '3', file: 1, line: 2 });
    expect(both.find('a', 'new_name', 'old_name')?.value).to.equal('4');
    expect(both.find('b', 'x')).to.equal(undefined);
  });

  it('replace what they refer to, and end where that goes in circles', () => {
    const text =
      '[DEFAULT]\nhost = h\n[a]\nport = 5\nurl = http://$host:$port/$' +
      '{b.path}$$$none\nx = $y\ny = $x\n[b]\npath = v3';
    expect(settings(text).find('a', 'url')?.value).to.equal('http://h:5/v3$$none');
    expect(settings(text).find('a', 'x')?.value).to.match(/^\$[xy]$/);
    expect(settings(`[a]\nx = ${'$x'.repeat(50)}`).find('a', 'x')?.value.length).to.be.lessThan(50_000);
    expect(settings('[a]\nlist =\n  one\n  two').find('a', 'list')?.value).to.equal('one\ntwo');
  });
});
