import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatDistance,
  formatDuration,
  formatFacts,
  formatTable,
  formatTime,
  isoTime,
  jsonText,
  printable,
} from '../../src/cli/text.ts';

describe('cli/text', () => {
  it('nothing that a terminal obeys is left in foreign text', () => {
    expect(printable('a\x1b[2Jb\r\n\x9bc\u202ed')).to.equal('a\\x1b[2Jb\\x0d\\x0a\\x9bc\\u202ed');
    expect(printable('Zürich 東京 🛰')).to.equal('Zürich 東京 🛰');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).not.to.match(/[\p{Cc}\p{Cs}\u200b-\u200f\u2028-\u202e\u2060-\u206f]/u);
      }),
    );
  });

  it('nor in JSON, which means the same as before', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const text = jsonText(value);
        expect(text).not.to.match(/[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u206f]/u);
        expect(JSON.parse(text)).to.deep.equal(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('durations are short and human', () => {
    const cases = [
      [0.4, '0.4 ms'],
      [85, '85 ms'],
      [1240, '1.24 s'],
      [12_300, '12 s'],
      [60_000, '1 min'],
      [5_400_000, '1 h 30 min'],
      [90_000_000, '1 d 1 h'],
      [86_400_000 * 30, '30 d'],
    ] as const;
    for (const [ms, text] of cases) expect(formatDuration(ms)).to.equal(text);
    expect(formatDistance(5000, 2000)).to.equal('in 3 s');
    expect(formatDistance(2000, 5100)).to.equal('3 s ago');
    expect(formatDistance(2000, 2100)).to.equal('now');
  });

  it('times are ISO in UTC', () => {
    expect(formatTime(1_700_000_000_123)).to.equal('2023-11-14T22:13:20Z');
    expect(isoTime(1_700_000_000_123)).to.equal('2023-11-14T22:13:20.123Z');
    expect(isoTime(null)).to.equal(null);
    expect(isoTime(2 ** 53 - 1)).to.equal('9999-12-31T23:59:59.999Z');
    fc.assert(
      fc.property(fc.double(), (ms) => {
        expect(formatTime(ms)).to.match(/^\d{4}-/);
      }),
    );
  });

  it('tables and facts are aligned, and a cell stays in its line', () => {
    expect(formatTable(['A', 'LONG'], [['xyz', 'b\nc']])).to.deep.equal(['A    LONG', 'xyz  b\\x0ac']);
    expect(
      formatFacts([
        ['a', 'x'],
        ['name', ['1', '2']],
        ['none', []],
      ]),
    ).to.deep.equal(['a     x', 'name  1', '      2', 'none  -']);
  });
});
