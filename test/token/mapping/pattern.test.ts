import { expect } from 'chai';
import fc from 'fast-check';
import { compilePattern, PatternRefusal } from '../../../src/token/mapping/pattern.ts';

describe('token/mapping/pattern', () => {
  const matching: readonly (readonly [pattern: string, value: string, found: boolean])[] = [
    ['dev', 'the-devs', true],
    ['^dev$', 'devs', false],
    ['^\\w+$', 'jürgen', true],
    ['^\\W$', 'é', false],
    ['^\\d+$', '٤٢', true],
    ['^[\\d]$', '٤', true],
    ['\\s', 'a\u2003b', true],
    ['^\\S+$', 'a\u00a0b', false],
    ['(?i)OPS', 'dev-ops', true],
    ['x\\Z', 'x', true],
    ['[]x]', ']', true],
    ['[^]x]', ']', false],
    ['[[]', '[', true],
    ['a{2}', 'baab', true],
    ['^.$', '😀', true],
    ['(?P<who>ann|bob)', 'bob', true],
    ['^[\\w-]$', '-', true],
    ['^[\\w-]$', '`', false],
    ['^[a-c-]$', '-', true],
    ['^[+--]$', ',', true],
    ['^\\x41\\-\\_$', 'A-_', true],
    ['a{}', 'a{}', true],
    ['(?i)^admin$', 'adm\u0131n', true],
    ['(?i)^admin$', 'ADM\u0130N', true],
    ['(?i)^\u0131$', 'I', true],
    ['(?i)^[H-J]$', '\u0130', true],
    ['(?i)^[\u0100-\u017f]$', 'i', true],
    ['(?i)^[^i]$', '\u0131', false],
    ['(?i)^\\x69$', '\u0131', true],
    ['(?i:i)', '\u0130', true],
    ['(?i:(?-i:i))', '\u0130', false],
    ['(?i:a)i', 'A\u0131', false],
    ['^admin$', 'adm\u0131n', false],
    ['(?i)\u212a', 'k', true],
  ];
  for (const [pattern, value, found] of matching)
    it(`${pattern} ${found ? 'matches' : 'does not match'} ${JSON.stringify(value)}, as in Python`, () =>
      expect(compilePattern(pattern)(value)).to.equal(found));

  const refused = [
    '(?=a)',
    '(?<!a)b',
    '(a)\\1',
    '(?>a)',
    'a*+',
    '\\bops\\b',
    '[[:alpha:]]',
    'a{,3}',
    '\\Qa',
    '(',
    'a{2000}',
    '\\',
    '[\\W]',
    '[\\w-z]',
    '[\\d-9]',
    '[a-\\d]',
    '[z-a]',
    '[a',
    '\\p{L}',
    '\\pL',
    '[\\p{L}]',
    '\\z',
    '[\\Z]',
    '(?-i)a',
    '(?U)a',
    '(?i-i:a)',
    'a(?i)b',
    '(?<who>a)',
    '(?P<1>a)',
    '\\x{41}',
    '\\x4',
    '\\0',
    '[\\1]',
    '\\C',
    '\\u0061',
    '^*',
    '$+',
    '\\A{2}',
    'a{01}',
    'a{1,02}',
    'x'.repeat(600),
  ];
  for (const pattern of refused)
    it(`refuses ${pattern.slice(0, 20)}`, () => expect(() => compilePattern(pattern)).to.throw(PatternRefusal));

  it('takes time in proportion to the value, also where others take for ever', () => {
    const patterns = ['(a+)+$', '(a|aa)+$', '(a|a?)+$', '(.*a){20}$', '^(\\w+\\s?)*$', '(x+x+)+y'];
    for (const pattern of patterns) {
      const matches = compilePattern(pattern);
      const value = `${'a'.repeat(127)}${'x'.repeat(127)}!`;
      const start = performance.now();
      for (let i = 0; i < 20; i += 1) expect(matches(value)).to.be.a('boolean');
      expect(performance.now() - start, pattern).to.be.below(2000);
    }
  });

  it('throws nothing but its refusal, and its matchers throw nothing', () => {
    const piece = fc.constantFrom(
      'a',
      '(',
      ')',
      '[',
      ']',
      '*',
      '+',
      '?',
      '{',
      '2}',
      '|',
      '\\',
      'w',
      'S',
      '^',
      '$',
      '.',
      ':',
      '-',
      ',',
      'é',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 14 }),
        fc.string({ unit: 'binary', maxLength: 255 }),
        (pieces, value) => {
          try {
            compilePattern(pieces.join(''))(value);
          } catch (thrown) {
            expect(thrown, pieces.join('')).to.be.instanceOf(PatternRefusal);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});
