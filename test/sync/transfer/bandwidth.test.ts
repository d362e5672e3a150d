import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../../src/core/errors.ts';
import { bandwidthAt, parseBandwidth } from '../../../src/sync/transfer/bandwidth.ts';

const mib = 1024 ** 2;

describe('bandwidth', () => {
  for (const [text, bytesPerS] of [
    ['50M', 50 * mib],
    ['50', 50 * mib],
    ['1.5m', 1.5 * mib],
    ['512K', 512 * 1024],
    ['2G', 2048 * mib],
    ['off', null],
    [' OFF ', null],
  ] as const)
    it(`${JSON.stringify(text)} is ${bytesPerS} bytes a second, all day`, () => {
      const bandwidth = parseBandwidth(text);
      expect([0, 720, 1439].map((minute) => bandwidthAt(bandwidth, minute))).to.deep.equal(Array(3).fill(bytesPerS));
    });

  it('a timetable counts from each of its times on, and its last one through the night', () => {
    const bandwidth = parseBandwidth('19:00,off 08:00,10M  12:30,512K');
    const at = (hours: number, minutes: number) => bandwidthAt(bandwidth, hours * 60 + minutes);
    expect([at(0, 0), at(7, 59), at(8, 0), at(12, 29)]).to.deep.equal([null, null, 10 * mib, 10 * mib]);
    expect([at(12, 30), at(18, 59), at(19, 0), at(23, 59)]).to.deep.equal([512 * 1024, 512 * 1024, null, null]);
  });

  it('each minute of a day has the rate of the latest time that is not behind it', () => {
    const minutes = fc.uniqueArray(fc.integer({ min: 0, max: 1439 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(minutes, fc.integer({ min: 0, max: 1439 }), (times, minute) => {
        const words = times.map(
          (time) => `${Math.floor(time / 60)}:${String(time % 60).padStart(2, '0')},${time + 1}K`,
        );
        const earlier = times.filter((time) => time <= minute);
        const wanted = Math.max(...(earlier.length > 0 ? earlier : times));
        expect(bandwidthAt(parseBandwidth(words.join(' ')), minute)).to.equal((wanted + 1) * 1024);
      }),
    );
  });

  for (const text of [
    '',
    'fast',
    '0',
    '0.1K',
    '-1M',
    '1T',
    '25:00,1M',
    '8:60,1M',
    '08:00,1M 08:00,2M',
    '08:00',
    '1M 2M',
    '08:00,',
    '9'.repeat(99),
  ])
    it(`${JSON.stringify(text.slice(0, 20))} is refused, naming the option`, () => {
      expect(() => parseBandwidth(text, 'images.bwlimit'))
        .to.throw(AllianceError)
        .that.deep.includes({ errorName: 'bad_request', field: 'images.bwlimit' });
    });
});
