import { expect } from 'chai';
import { type Figure, isMet, rounded, toJson, toTable } from '../../bench/report.ts';

const figures: readonly Figure[] = [
  { name: 'ping_vs_peer', value: 5.4321, target: { atLeast: 5 } },
  { name: 'idle_rss_mib', value: 111.2, target: { atMost: 110 } },
  { name: 'ping_per_s', value: 123_456.7 },
];

describe('report of the benchmark', () => {
  it('is one line of JSON: one flat object of numbers', () => {
    const text = toJson(figures);
    expect(text).not.to.include('\n');
    expect(JSON.parse(text)).to.deep.equal({ ping_vs_peer: 5.43, idle_rss_mib: 111, ping_per_s: 123_500 });
  });

  it('refuses what JSON would hide: a name twice, and what is no number', () => {
    expect(() => toJson([...figures, figures[0]!])).to.throw('ping_vs_peer');
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => toJson([{ name: 'x', value }])).to.throw(RangeError);
  });

  it('keeps what a benchmark can know', () => {
    expect([2.0049, 0.35499, 97.55, 1234.56, 0].map(rounded)).to.deep.equal([2, 0.355, 97.5, 1235, 0]);
  });

  it('a target is met from its value on, and by every figure without one', () => {
    const met = (value: number, target: NonNullable<Figure['target']>) => isMet({ name: 'x', value, target });
    expect(met(2, { atLeast: 2 })).to.equal(true);
    expect(met(1.99, { atLeast: 2 })).to.equal(false);
    expect(met(110, { atMost: 110 })).to.equal(true);
    expect(met(111, { atMost: 110 })).to.equal(false);
    expect(isMet({ name: 'x', value: 0 })).to.equal(true);
  });

  it('the table names what was missed', () => {
    expect(toTable(figures).split('\n')).to.deep.equal([
      'ping_vs_peer    5.43  at least 5',
      'idle_rss_mib     111  at most 110  MISSED',
      'ping_per_s    123500',
    ]);
  });
});
