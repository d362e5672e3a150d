import { expect } from 'chai';
import fc from 'fast-check';
import { revocationLimits } from '../../../src/core/limits.ts';
import { RevocationMarks } from '../../../src/token/revocation/marks.ts';
import { matches } from '../../../src/token/revocation/match.ts';
import { anyEvent, anyToken, auditEvent, tokenOf } from '../../support/revocations.ts';
import { createTestClock, testStart } from '../../support/store.ts';

describe('marks of revocations', () => {
  it('find every token that any of them is about, and no other', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), fc.array(anyToken, { maxLength: 10 }), (events, tokens) => {
        const marks = new RevocationMarks(createTestClock());
        for (const event of events) marks.note('p', event);
        for (const token of tokens) {
          expect(marks.isRevoked('p', token)).to.equal(events.some((event) => matches(event, token)));
          expect(marks.isRevoked('q', token)).to.equal(false);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are told to listeners, and so is the loss of all', () => {
    const marks = new RevocationMarks(createTestClock());
    const told: unknown[] = [];
    marks.onNote((issuer, event) => told.push([issuer, event?.auditId ?? null]));
    marks.note('p', auditEvent('a', testStart));
    marks.dropAll('p');
    expect(told).to.deep.equal([
      ['p', 'a'],
      ['p', null],
    ]);
    expect(marks.isRevoked('p', tokenOf('a', testStart))).to.equal(false);
  });

  it('outlive every token, and no longer; the times that a partner tells shorten that, and do not lengthen it', () => {
    const clock = createTestClock();
    const marks = new RevocationMarks(clock, { marksPerPartner: 2, marksAlike: 2 });
    const { markMs, skewMs } = revocationLimits;
    marks.note('p', auditEvent('future', testStart + 1e12));
    marks.note('p', auditEvent('past', testStart - skewMs - markMs + 1));
    clock.advance(1);
    expect(marks.note('p', auditEvent('late', testStart)), 'no room').to.equal(false);
    marks.note('p', auditEvent('future', testStart + 1e12));
    clock.advance(markMs + 1);
    for (const each of ['a', 'b']) expect(marks.note('p', auditEvent(each, clock.now()))).to.equal(true);
    expect(marks.isRevoked('p', tokenOf('future', testStart))).to.equal(false);
  });

  it('are bounded for each partner apart, in number and in those alike', () => {
    const marks = new RevocationMarks(createTestClock(), { marksPerPartner: 5, marksAlike: 3 });
    marks.note('q', auditEvent('a', testStart));
    marks.confirm('p', 0);
    for (let n = 0; n < 5; n++) expect(marks.note('p', auditEvent(`a${n}`, testStart))).to.equal(true);
    expect(marks.note('p', auditEvent('a0', testStart + 5)), 'known').to.equal(true);
    expect(marks.note('p', auditEvent('one more', testStart))).to.equal(false);
    expect(marks.confirmedAt('p')).to.equal(null);
    const event = { revokedAt: testStart, issuedBefore: testStart, userId: 'u' };
    for (let n = 0; n < 3; n++) expect(marks.note('p', { ...event, expiresAt: n * 1000 })).to.equal(true);
    expect(marks.note('p', { ...event, expiresAt: 9000 })).to.equal(false);
    expect(marks.isRevoked('q', tokenOf('a', testStart))).to.equal(true);
  });

  it('of two that ask for the same, the one that reaches further counts, whichever came first', () => {
    for (const order of [
      [0, 10],
      [10, 0],
    ]) {
      const marks = new RevocationMarks(createTestClock());
      for (const ms of order) marks.note('p', { revokedAt: testStart, issuedBefore: testStart + ms, userId: 'u1' });
      expect(marks.isRevoked('p', tokenOf('a', testStart + 10))).to.equal(true);
      expect(marks.isRevoked('p', tokenOf('a', testStart + 11))).to.equal(false);
    }
  });

  it('the confirmation never goes back, follows the clock that is set, and ends with what it was about', () => {
    let elapsed = 1000;
    const clock = { ...createTestClock(), monotonic: () => elapsed };
    const wall = createTestClock();
    clock.now = wall.now;
    const marks = new RevocationMarks(clock);
    expect(marks.confirmedAt('p')).to.equal(null);
    marks.confirm('p', 900);
    expect(marks.confirmedAt('p')).to.equal(testStart - 100);
    marks.confirm('p', 800);
    elapsed += 50;
    expect(marks.confirmedAt('p')).to.equal(testStart - 150);
    wall.advance(-3_600_000);
    expect(marks.confirmedAt('p')).to.equal(testStart - 3_600_150);
    marks.confirm('p', null);
    expect(marks.confirmedAt('p')).to.equal(null);
  });
});
