import { expect } from 'chai';
import { nextTime, parseCron, parseTimeZone } from '../../src/core/cron.ts';
import { refusal } from '../support/errors.ts';

describe('core/cron', () => {
  const times = (expression: string, zone: string, from: string, count: number): string[] => {
    const found: string[] = [];
    for (let at = Date.parse(from); found.length < count; ) {
      at = nextTime(expression, zone, at) ?? Number.NaN;
      found.push(new Date(at).toISOString().slice(0, 16));
    }
    return found;
  };

  it('gives the first time after another one, never that one itself', () => {
    expect(times('30 2 * * 1-5', 'UTC', '2026-11-20T02:29:59.999Z', 3)).to.deep.equal([
      '2026-11-20T02:30',
      '2026-11-23T02:30',
      '2026-11-24T02:30',
    ]);
    expect(times('*/20 * * * *', 'Asia/Kolkata', '2026-11-20T00:00:00Z', 2)).to.deep.equal([
      '2026-11-20T00:10',
      '2026-11-20T00:30',
    ]);
  });

  it('runs once a day, also where the clock leaps over that time or comes to it twice', () => {
    const hour = (expression: string, from: string) => times(expression, 'Europe/Madrid', from, 3);
    expect(hour('30 2 * * *', '2026-03-28T00:00:00Z')).to.deep.equal([
      '2026-03-28T01:30',
      '2026-03-29T01:30',
      '2026-03-30T00:30',
    ]);
    expect(hour('30 2 * * *', '2026-10-24T00:00:00Z')).to.deep.equal([
      '2026-10-24T00:30',
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  it('refuses what is no expression, comes every second, or never', () => {
    for (const text of ['x', '61 * * * *', '* * * * * *', '0 3 31 2 *', '2026-01-01T00:00:00', ''])
      refusal(() => parseCron(text), 'bad_request');
    for (const text of ['@daily', '0 3 * * MON', '0 0 1 */3 *']) expect(parseCron(text)).to.equal(text);
    expect(refusal(() => parseCron('61 * * * *'), 'bad_request').details).to.contain('minute');
  });

  it('knows zones', () => {
    expect(parseTimeZone('America/Sao_Paulo')).to.equal('America/Sao_Paulo');
    expect(refusal(() => parseTimeZone('Mars/Olympus'), 'bad_request').details).to.contain('Mars/Olympus');
  });
});
