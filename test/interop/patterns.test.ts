/** Patterns of mappings mean to us what they mean to Keystone, which is what Python's `re` makes of them. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { compilePattern, type Matcher, PatternRefusal } from '../../src/token/mapping/pattern.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { runPython } from '../support/python.ts';

const pieces = [
  ...[
    'a',
    'b',
    'i',
    'I',
    'k',
    'ı',
    'İ',
    'K',
    'ſ',
    's',
    'é',
    'ß',
    '٤',
    '😀',
    '_',
    '-',
    ',',
    ':',
    ' ',
    '&&',
    '--',
    '~',
    '#',
  ],
  ...['(', ')', '(?:', '(?i)', '(?s)', '(?U)', '(?-i)', '(?i:', '(?-i:', '(?i-i:', '(?P<n>', '(?P<1>', '(?<n>', '(?'],
  ...['[', ']', '[^', '[]', '[^]', '-z', 'a-', '[a-z]', '[A-Z]', '[H-J]', '[Ā-ſ]', '[^i]', '|', '.', '^', '$'],
  ...['*', '+', '?', '{', '}', '{2}', '{1,2}', '{,2}', '{1,}', '{01}', '{1,02}', '{}', '{2,1}'],
  ...['\\', '\\w', '\\W', '\\d', '\\D', '\\s', '\\S', '\\A', '\\Z', '\\z', '\\b', '\\p{L}', '\\pL', '\\x41', '\\x{41}'],
  ...[
    '\\x69',
    '\\0',
    '\\1',
    '\\07',
    '\\-',
    '\\_',
    '\\é',
    '\\]',
    '\\[',
    '\\^',
    '\\t',
    '\\a',
    '\\Q',
    '\\C',
    '\\u0069',
    '\\e',
  ],
];
const values = [
  ...[
    '',
    'a',
    'b',
    'A',
    'i',
    'I',
    'ı',
    'İ',
    'k',
    'K',
    'K',
    's',
    'ſ',
    'é',
    'É',
    'ß',
    'ẞ',
    '٤',
    '4',
    '😀',
    '_',
    '-',
    '`',
    'z',
  ],
  ...[
    'aa',
    'ab',
    'ia',
    'aI',
    'ıi',
    'a-z',
    'a b',
    'aab',
    '{',
    '{}',
    ']',
    '[',
    '^',
    'a{01}',
    'b{',
    ':',
    ',',
    '&&',
    '#',
    '\\',
    'admın',
  ],
];

describe('patterns, in Python', function () {
  this.timeout(60_000);
  let directory: TemporaryDirectory;
  before(() => {
    directory = temporaryDirectory();
  });
  after(() => directory.remove());

  it('are refused, or found in the same values', async () => {
    const patterns = fc.sample(
      fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 6 }).map((chosen) => chosen.join('')),
      20_000,
    );
    const ours = patterns.flatMap((pattern): [string, Matcher][] => {
      try {
        return [[pattern, compilePattern(pattern)]];
      } catch (thrown) {
        expect(thrown, pattern).to.be.instanceOf(PatternRefusal);
        return [];
      }
    });
    expect(ours.length, 'enough of them are none that are refused').to.be.above(2000);
    const file = directory.file('patterns.json');
    writeFileSync(file, JSON.stringify(ours.map(([pattern]) => [pattern, values])));
    const theirs = JSON.parse(await runPython('patterns.py', file)) as (string | null)[];
    for (const [index, [pattern, matches]] of ours.entries()) {
      const found = theirs[index];
      if (found == null) throw new Error(`Python refuses ${pattern}`);
      for (const [place, value] of values.entries())
        expect(matches(value), `${pattern} in ${JSON.stringify(value)}`).to.equal(found[place] === '1');
    }
  });
});
