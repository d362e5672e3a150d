import { expect } from 'chai';
import { connectionLimits } from '../../src/core/limits.ts';
import { RefusalLog } from '../../src/core/refusalLog.ts';

const minuteMs = connectionLimits.refusalLogMs;

describe('log of refusals', () => {
  it('tells the first of an origin, then once a minute how many there were', () => {
    const log = new RefusalLog();
    expect(log.note('a', 1000)).to.equal(1);
    for (let n = 1; n <= 500; n++) expect(log.note('a', 1000 + n)).to.equal(0);
    expect(log.note('b', 1500)).to.equal(1);
    expect(log.note('a', 1000 + minuteMs)).to.equal(501);
    expect(log.note('a', 1001 + minuteMs)).to.equal(0);
    expect(log.note('a', 1000 + 10 * minuteMs)).to.equal(2);
  });

  it('remembers so many origins, and forgets those first that were told longest ago', () => {
    const log = new RefusalLog(2);
    expect([log.note('a', 0), log.note('b', 1), log.note('c', 2)]).to.deep.equal([1, 1, 1]);
    expect([log.note('b', 3), log.note('c', 4), log.note('a', 5)]).to.deep.equal([0, 0, 1]);
  });
});
