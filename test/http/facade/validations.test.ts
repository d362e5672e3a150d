import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { parseCloudId } from '../../../src/core/ids.ts';
import { auditLimits } from '../../../src/core/limits.ts';
import { createLogger } from '../../../src/core/log.ts';
import { ShareUsedUp, ValidationRecords } from '../../../src/http/facade/validations.ts';
import type { AuditEntry } from '../../../src/model/audit.ts';
import { createTestFile } from '../../support/store.ts';

describe('facade: records of validations', () => {
  const east = parseCloudId('east');
  const north = parseCloudId('north');
  const windowMs = auditLimits.validationWindowMs;
  let now: number;
  let written: AuditEntry[];
  let fails: boolean;
  /** What every record waits for. */
  let gate: Promise<unknown>;
  let refused: string[];
  let lines: string[];
  let records: ValidationRecords;
  const entry = (outcome = 'valid', partner = east, more: object = {}): AuditEntry & { partner: typeof east } => ({
    kind: 'validation',
    actor: 'user:glance',
    partner,
    subject: 'u',
    outcome,
    rule: outcome === 'valid' ? '1' : null,
    requestId: 'req-1',
    details: { user: { id: 'u' }, roles: ['member'], source: 'live', age_ms: 3, ...more },
  });
  const summaries = () => written.filter(({ details }) => details.times !== undefined);
  const leftOut = () => written.filter(({ details }) => details.omitted !== undefined);
  const rejection = async (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    );

  beforeEach(() => {
    now = Date.UTC(2030, 0, 1);
    [written, refused, lines] = [[], [], []];
    fails = false;
    gate = Promise.resolve();
    const append = async (each: AuditEntry) => {
      await gate;
      if (fails) throw new Error('disk full');
      written.push(each);
    };
    const log = createLogger({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } });
    const telemetry = { refusal: (reason: string) => void refused.push(reason) };
    records = new ValidationRecords({ audit: { append }, now: () => now, log, telemetry });
  });
  afterEach(() => records.close());

  it('lets the first answer go once it is stored, and counts equal ones, one record for each window', async () => {
    let open: () => void = () => undefined;
    gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let given = 0;
    const first = [1, 2, 3].map(() => records.record(entry(), 'kind').then(() => (given += 1)));
    await new Promise(setImmediate);
    expect(given).to.equal(0);
    open();
    await Promise.all(first);
    for (let n = 0; n < 100; n++) await records.record(entry(), 'kind');
    expect(written).to.deep.equal([entry()]);
    now += windowMs - 1;
    await records.sweep();
    expect(summaries()).to.deep.equal([]);
    now += 1;
    await records.sweep();
    const { source: _, age_ms: __, ...details } = entry().details;
    const since = now - windowMs;
    expect(summaries()).to.deep.equal([{ ...entry(), details: { ...details, times: 102, since } }]);
    await records.record(entry(), 'kind');
    expect(written, 'its kind is still known').to.have.length(2);
    now += windowMs;
    await records.sweep();
    expect(summaries().map(({ details: { times, since } }) => [times, since])).to.deep.equal([
      [102, since],
      [1, since + windowMs],
    ]);
    now += windowMs;
    await records.sweep();
    await records.record(entry(), 'kind');
    expect(written.at(-1), 'forgotten, so it is a first one again').to.deep.equal(entry());
  });

  it('writes what was counted at the end, and says of stale answers that they were', async () => {
    for (let n = 0; n < 3; n++) {
      await records.record(entry('valid', east, { source: 'stale' }), 'stale');
      await records.record(entry('denied'), 'denied');
    }
    await records.close();
    expect(summaries().map(({ outcome, details: { times, source } }) => [outcome, times, source])).to.deep.equal([
      ['valid', 2, 'stale'],
      ['denied', 2, undefined],
    ]);
  });

  it('lets nobody go whose first answer has no record, and begins anew', async () => {
    fails = true;
    const work = [1, 2].map(() => rejection(records.record(entry(), 'kind')));
    for (const error of await Promise.all(work)) expect(error).to.be.instanceOf(Error);
    fails = false;
    await records.record(entry(), 'kind');
    expect(written).to.deep.equal([entry()]);
  });

  it('keeps a count that cannot be written until it can', async () => {
    for (let n = 0; n < 4; n++) await records.record(entry(), 'kind');
    now += windowMs;
    fails = true;
    await records.sweep();
    expect(lines.some((line) => line.includes('disk full'))).to.equal(true);
    fails = false;
    now += windowMs;
    await records.sweep();
    expect(summaries().map(({ details: { times } }) => times)).to.deep.equal([3]);
  });

  describe('of a partner that makes more of them than its share', () => {
    const large = { roles: Array.from({ length: 100 }, (_, n) => `${n}`.padStart(250, 'x')) };
    const of = (subject: string, outcome = 'valid') => ({ ...entry(outcome, east, large), subject });
    /** As much as may be recorded at once, and more; of one user, or of many. */
    async function flood(outcome: string, subject?: string) {
      let given = 0;
      let last: unknown;
      for (let n = 0; n < 2000 && !last; n++) {
        last = await rejection(records.record(of(subject ?? `u${n % 20}`, outcome), `${outcome} ${subject} ${n}`));
        if (!last) given += 1;
      }
      return { given, last };
    }
    const bytes = () => written.reduce((sum, each) => sum + JSON.stringify(each).length, 0);

    it('refusals are given without a record, counted, and never take what is for access', async () => {
      expect((await flood('denied')).given).to.equal(2000);
      expect(bytes()).to.be.within(0.9 * auditLimits.validationBurstBytes, auditLimits.validationBurstBytes);
      const recorded = written.length;
      expect(refused).to.have.length(2000 - recorded);
      await records.record(entry('valid', east, large), 'access');
      await records.record(entry('denied', north), 'elsewhere');
      expect(written).to.have.length(recorded + 2);
      now += windowMs;
      await records.sweep();
      const [first] = leftOut();
      expect(first).to.deep.include({ actor: 'broker', partner: 'east', subject: null, outcome: 'denied' });
      expect(first?.details).to.deep.include({ omitted: 2000 - recorded, reason: 'rate' });
      const before = written.length;
      await flood('denied');
      const grown = (written.length - before) * JSON.stringify(entry('denied', east, large)).length;
      expect(grown).to.be.at.most((windowMs / 1000) * auditLimits.validationBytesPerS);
    });

    it('access is refused with a time to come again, for that partner alone; what is recorded already goes on', async () => {
      const { given, last } = await flood('valid');
      expect(last).to.be.instanceOf(ShareUsedUp).and.instanceOf(AllianceError);
      expect(last).to.include({ errorName: 'overloaded' });
      expect((last as AllianceError).retryAfterMs).to.be.within(1, 60_000);
      expect(given).to.equal(written.length);
      await records.record(of('u0'), 'valid undefined 0');
      await records.record(entry('valid', north, large), 'valid 0');
      await records.record(entry('denied', east, large), 'denied');
      await records.close();
      const [first] = leftOut();
      expect(first).to.deep.include({ partner: 'east', outcome: 'undecided' });
      expect(first?.details).to.deep.include({ omitted: 1, reason: 'rate' });
    });
  });

  describe('of one user who makes more of them than a user may', () => {
    const large = { roles: Array.from({ length: 100 }, (_, n) => `${n}`.padStart(250, 'x')) };
    const of = (subject: string, outcome = 'valid') => ({ ...entry(outcome, east, large), subject });

    it('access is refused to that one, and neither recorded nor given; to others of its cloud it is not', async () => {
      let refusal: unknown;
      for (let n = 0; !refusal; n++) refusal = await rejection(records.record(of('greedy'), `greedy ${n}`));
      expect(refusal).to.be.instanceOf(ShareUsedUp);
      const bytes = written.reduce((sum, each) => sum + JSON.stringify(each).length, 0);
      const most = auditLimits.validationBurstBytes * auditLimits.validationUserShare;
      expect(bytes).to.be.within(0.9 * most, most);
      await records.record(of('other'), 'other');
      expect(written.at(-1)).to.include({ subject: 'other' });
      now += 10 * windowMs;
      for (let n = 0; n < 200; n++) await rejection(records.record(of('greedy'), `again ${n}`));
      await records.record(of('third'), 'third');
      expect(written.at(-1)).to.include({ subject: 'third' });
    });

    it('refusals of that one are counted only, those of others recorded', async () => {
      for (let n = 0; n < 2000; n++) await records.record(of('greedy', 'denied'), `greedy ${n}`);
      expect(written).to.have.length.below(200);
      await records.record(of('other', 'denied'), 'other');
      expect(written.at(-1)).to.include({ subject: 'other' });
    });
  });

  it('tracks so many kinds and no more: the count of the oldest of who has the most is summed up', async () => {
    const small = (partner = east) => ({ ...entry('valid', partner), details: {} });
    for (let n = 0; n < 2; n++) await records.record(small(north), 'mine');
    for (const kind of ['a', 'a', 'a', 'b', 'b']) await records.record(small(), kind);
    for (let n = 0; n < auditLimits.validations; n++)
      await records.record({ ...small(), subject: `u${n % 50}` }, `flood ${n}`);
    await records.record(small(north), 'mine');
    await records.close();
    expect(leftOut().map(({ outcome, details: { omitted, reason } }) => [outcome, omitted, reason])).to.deep.equal([
      ['valid', 3, 'crowded'],
    ]);
    expect(summaries().map(({ partner, details: { times } }) => [partner, times])).to.deep.equal([['north', 2]]);
  });

  it('lays its records into the audit', async () => {
    const file = createTestFile();
    try {
      const { audit } = await file.open();
      const real = new ValidationRecords({
        audit,
        now: () => now,
        log: createLogger({ level: 'silent' }),
        telemetry: { refusal: () => undefined },
      });
      for (let n = 0; n < 3; n++) await real.record(entry(), 'kind');
      await real.close();
      expect((await audit.list({ kind: 'validation' })).map(({ details }) => details.times)).to.deep.equal([
        undefined,
        2,
      ]);
    } finally {
      await file.remove();
    }
  });
});
