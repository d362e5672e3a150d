import { expect } from 'chai';
import fc from 'fast-check';
import { revocationLimits } from '../../../src/core/limits.ts';
import { RevocationMarks } from '../../../src/token/revocation/marks.ts';
import { matches } from '../../../src/token/revocation/match.ts';
import { disguiseEvent, pseudonymsOf } from '../../../src/token/revocation/pseudonyms.ts';
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

  it('find tokens by pseudonyms where a cloud tells those, and by these alone', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), fc.array(anyToken, { maxLength: 10 }), (events, tokens) => {
        const marks = new RevocationMarks(createTestClock());
        const pseudonyms = pseudonymsOf('west', 'p');
        marks.readAs('p', pseudonyms);
        for (const event of events) {
          marks.note('p', disguiseEvent(event, pseudonyms));
          marks.note('own', event);
        }
        for (const token of tokens) expect(marks.isRevoked('p', token)).to.equal(marks.isRevoked('own', token));
      }),
      { numRuns: 300 },
    );
  });

  it('stay where only answers are dropped', () => {
    const marks = new RevocationMarks(createTestClock());
    const told: unknown[] = [];
    marks.onNote((issuer, event) => told.push([issuer, event]));
    const event = auditEvent('a', testStart);
    marks.note('p', event);
    marks.dropAnswers('p');
    expect(told).to.deep.equal([
      ['p', event],
      ['p', null],
    ]);
    expect(marks.isRevoked('p', tokenOf('a', testStart))).to.equal(true);
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

  it('are bounded in memory, and keep no texts but their own', () => {
    const { markBytes } = revocationLimits;
    const marks = new RevocationMarks(createTestClock(), { bytesPerPartner: 3 * markBytes, bytes: 5 * markBytes });
    const note = (issuer: string, n: number) => marks.note(issuer, auditEvent(`${issuer}${n}`, testStart));
    const told: unknown[] = [];
    marks.onNote((issuer, event) => event ?? told.push(issuer));
    for (const n of [1, 2]) expect(note('p', n)).to.equal(true);
    expect(note('p', 3), 'too many of this one').to.equal(false);
    expect(told.splice(0)).to.deep.equal(['p']);
    for (const n of [1, 2]) expect(note('p', n), 'again room').to.equal(true);
    for (const issuer of ['q', 'r']) expect(note(issuer, 1)).to.equal(true);
    expect(told.splice(0), 'whoever has most pays').to.deep.equal([]);
    expect(note('s', 1)).to.equal(true);
    expect(told.splice(0)).to.deep.equal(['p']);
    for (const issuer of ['q', 'r', 's'])
      expect(marks.isRevoked(issuer, tokenOf(`${issuer}1`, testStart))).to.equal(true);
    expect(marks.isRevoked('p', tokenOf('p1', testStart))).to.equal(false);
  });

  it('room comes back as marks end', () => {
    const clock = createTestClock();
    const { markMs, markBytes } = revocationLimits;
    const marks = new RevocationMarks(clock, { bytesPerPartner: 3 * markBytes });
    for (let n = 0; n < 20; n++) {
      expect(marks.note('p', auditEvent(`a${n}`, clock.now())), `${n}`).to.equal(true);
      clock.advance(markMs + 1);
    }
  });

  it('that come after a token was looked at count for it', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 10 }), fc.array(anyToken, { maxLength: 5 }), (events, tokens) => {
        const marks = new RevocationMarks(createTestClock());
        for (const [n, event] of events.entries()) {
          marks.note('p', event);
          const noted = events.slice(0, n + 1);
          for (const token of tokens)
            for (const _time of [1, 2])
              expect(marks.isRevoked('p', token)).to.equal(noted.some((each) => matches(each, token)));
        }
      }),
    );
  });

  it('a token of many roles and as many marks of roles cost little, however often it is looked at', () => {
    const marks = new RevocationMarks(createTestClock());
    const roles = Array.from({ length: 1000 }, (_, n) => ({ id: `r${n}`, name: 'member' }));
    const token = { ...tokenOf('a', testStart), roles };
    for (let n = 0; n < 50_000; n++)
      marks.note('p', { revokedAt: 0, issuedBefore: testStart, roleId: `r${n % 1000}`, expiresAt: n * 1e6 });
    const lookMs = (times: number): number => {
      const startedAt = performance.now();
      for (let n = 0; n < times; n++) expect(marks.isRevoked('p', token)).to.equal(false);
      return performance.now() - startedAt;
    };
    const first = lookMs(1);
    expect(lookMs(1000)).to.be.lessThan(10 * first + 50);
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
