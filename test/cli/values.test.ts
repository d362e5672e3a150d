import { expect } from 'chai';
import {
  collectEndpoints,
  endOfTrust,
  parseCount,
  parseDuration,
  parseListen,
  parsePause,
  parseRole,
  parseSince,
  parseTill,
} from '../../src/cli/values.ts';
import { timeLimits } from '../../src/core/limits.ts';

describe('cli/values', () => {
  it('durations', () => {
    for (const [text, ms] of [
      ['15m', 900_000],
      ['1h30m', 5_400_000],
      ['0.5s', 500],
      ['7d', 604_800_000],
      ['20ms', 20],
    ] as const)
      expect(parseDuration(text), text).to.equal(ms);
    for (const wrong of ['', '15', 'm', '15 m', '-1s', '1w', '1h-1m'])
      expect(() => parseDuration(wrong), wrong).to.throw();
    expect(parsePause('0.2')).to.equal(200);
    expect(parsePause('200ms')).to.equal(200);
  });

  it('ends of trust are UTC, or a distance from now, or none', () => {
    expect(parseTill('2027-01-31')).to.equal(Date.UTC(2027, 0, 31));
    expect(parseTill('2027-01-31T12:00')).to.equal(Date.UTC(2027, 0, 31, 12));
    expect(parseTill('2027-01-31 12:00+02:00')).to.equal(Date.UTC(2027, 0, 31, 10));
    expect(parseTill('90d')).to.be.closeTo(Date.now() + 90 * 86_400_000, 1000);
    expect(endOfTrust(parseTill('none'))).to.equal(null);
    expect(endOfTrust(5)).to.equal(5);
    expect(parseTill('9999-12-31T23:59:59.999Z')).to.equal(timeLimits.latestMs);
    for (const endless of ['999999999d', `${'9'.repeat(400)}d`, '9999-12-31T23:59-14:00'])
      expect(() => parseTill(endless), endless).to.throw('before the year 10000');
    for (const wrong of ['31.1.2027', '2027-13-01', 'soon', '']) expect(() => parseTill(wrong), wrong).to.throw();
  });

  it('points in the past are UTC, or how long ago', () => {
    expect(parseSince('2027-01-31')).to.equal(Date.UTC(2027, 0, 31));
    expect(parseSince('24h')).to.be.closeTo(Date.now() - 86_400_000, 1000);
    for (const wrong of ['none', 'yesterday', '']) expect(() => parseSince(wrong), wrong).to.throw();
  });

  it('numbers, roles and addresses', () => {
    expect(parseCount('12')).to.equal(12);
    for (const wrong of ['0', '-1', '1.5', 'x', '1234567']) expect(() => parseCount(wrong), wrong).to.throw();
    expect(parseRole('both')).to.equal('both');
    expect(parseListen('off')).to.equal('off');
    expect(parseListen('[::1]:0')).to.deep.equal({ host: '::1', port: 0 });
    expect(() => parseListen('9443')).to.throw('HOST:PORT');
    expect(collectEndpoints('tls://EAST:1', ['tcp://a:2'])).to.deep.equal(['tcp://a:2', 'tls://east:1']);
    expect(() => collectEndpoints('https://east')).to.throw('tls://HOST:PORT');
  });
});
