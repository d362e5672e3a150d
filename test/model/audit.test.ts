/** Whatever is done to the rows of an audit behind its back, verification finds it and names the first record that is wrong. */
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import fc from 'fast-check';
import type { AuditBreak, Verification, VerifyOptions, Witness } from '../../src/model/audit.ts';
import { hashRow } from '../../src/model/auditChain.ts';
import type { Store } from '../../src/model/store.ts';
import type { AuditRow } from '../../src/model/tables.ts';
import { auditEntry, genuine } from '../support/audit.ts';
import { createTestClock, createTestFile, type TestFile } from '../support/store.ts';

const records = 12;

describe('tampered audit', () => {
  let file: TestFile;
  let store: Store;
  let db: Sqlite.Database;

  before(async () => {
    file = createTestFile(createTestClock());
    store = await file.open();
    for (let i = 1; i <= records; i++)
      await store.audit.append(auditEntry({ subject: `user ${i}`, rule: 'r', requestId: `q${i}`, details: { i } }));
    const head = (await store.audit.hashOf(8))!;
    await store.audit.addCheckpoint({ seq: 8, head, at: 1, payload: 'p', signature: 's' });
    db = new Sqlite(file.path);
  });
  after(async () => {
    db.close();
    await file.remove();
  });

  /** What verification says while the tables are as `work` leaves them. */
  const tampered = async (
    work: () => void,
    witnesses: readonly Witness[] = [],
    options: Partial<VerifyOptions> = {},
  ): Promise<Verification> => {
    db.exec('create temp table kept as select * from audit; create temp table kept_head as select * from audit_head');
    db.exec('create temp table kept_seals as select * from audit_seals');
    try {
      work();
      return await store.audit.verify({ ...genuine, ...options, witnesses });
    } finally {
      for (const table of ['', '_head', '_seals'])
        db.exec(
          `delete from audit${table}; insert into audit${table} select * from kept${table}; drop table kept${table}`,
        );
    }
  };
  const broken = async (work: () => void): Promise<AuditBreak> => (await tampered(work)).broken!;
  const anyRecord = fc.integer({ min: 1, max: records });

  it('is sound when nothing was done', async () => {
    expect(await tampered(() => undefined)).to.deep.include({ broken: null, records, witnesses: 2 });
  });

  it('any altered member of any record', async () => {
    const columns = ['at', 'kind', 'actor', 'partner', 'subject', 'outcome', 'rule', 'request_id', 'details'];
    const alteration = fc.constantFrom(...columns, 'previous', 'hash');
    const values = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
    );
    await fc.assert(
      fc.asyncProperty(anyRecord, alteration, values, async (seq, column, value) => {
        const before = db.prepare(`select ${column} from audit where seq = ?`).pluck().get(seq);
        const after = value instanceof Uint8Array ? Buffer.from(value) : value;
        fc.pre(JSON.stringify(before) !== JSON.stringify(after) && String(before) !== String(after));
        const mayBeNull = ['partner', 'subject', 'rule', 'request_id'].includes(column);
        fc.pre(after !== null || mayBeNull);
        const found = await broken(() => db.prepare(`update audit set ${column} = ? where seq = ?`).run(after, seq));
        expect(found).to.deep.include({ seq, reason: 'altered' });
      }),
      { numRuns: 150 },
    );
  });

  it('any record that was deleted', async () => {
    for (let seq = 1; seq < records; seq++) {
      const found = await broken(() => db.prepare('delete from audit where seq = ?').run(seq));
      expect(found).to.deep.include({ seq, reason: 'missing' });
    }
  });

  it('any two records that changed places', async () => {
    await fc.assert(
      fc.asyncProperty(anyRecord, anyRecord, async (a, b) => {
        fc.pre(a < b);
        const move = (from: number, to: number) => db.prepare('update audit set seq = ? where seq = ?').run(to, from);
        const found = await broken(() => [move(a, -1), move(b, a), move(-1, b)]);
        expect(found).to.deep.include({ seq: a, reason: 'reordered' });
      }),
      { numRuns: 40 },
    );
  });

  it('a record that was numbered anew, also after the one that had its place was deleted', async () => {
    for (let seq = 2; seq <= records; seq++) {
      const found = await broken(() => {
        db.prepare('delete from audit where seq = ?').run(seq - 1);
        db.prepare('update audit set seq = ? where seq = ?').run(seq - 1, seq);
      });
      expect(found.seq).to.equal(seq - 1);
    }
  });

  it('any end that was cut off, by the stored head, and by a checkpoint where that was moved, too', async () => {
    for (let last = 0; last < records; last++) {
      const cut = () => db.prepare('delete from audit where seq > ?').run(last);
      expect(await broken(cut)).to.deep.include({ seq: last + 1, reason: 'truncated' });
      const { broken: second } = await tampered(() => {
        const hash = db.prepare('select hash from audit where seq = ?').pluck().get(last) ?? Buffer.alloc(32);
        cut();
        db.prepare('update audit_head set seq = ?, hash = ?').run(last, hash);
      });
      if (last < 8) expect(second).to.deep.include({ seq: last + 1, reason: 'truncated' });
      else expect(second).to.equal(null);
    }
  });

  it('an end that a partner still knows of, and one that it knows otherwise', async () => {
    const known = async (seq: number, hash: Buffer, work: () => void) =>
      (await tampered(work, [{ seq, hash, by: 'Partner east' }])).broken;
    const hash = (await store.audit.hashOf(11))!;
    expect(await known(11, hash, () => undefined)).to.equal(null);
    expect(await known(11, Buffer.alloc(32), () => undefined)).to.deep.include({ seq: 11, reason: 'altered' });
    const forget = () => {
      db.prepare('delete from audit where seq > 9').run();
      db.prepare('update audit_head set seq = 9, hash = (select hash from audit where seq = 9)').run();
    };
    expect(await known(9, (await store.audit.hashOf(9))!, forget)).to.equal(null);
    expect(await known(11, hash, forget)).to.deep.include({ seq: 10, reason: 'truncated' });
  });

  it('a chain that was written anew from some record on, with hashes that fit, by the next checkpoint', async () => {
    const rewrite = (from: number) => () => {
      const rows = db.prepare('select * from audit where seq >= ? order by seq').all(from) as AuditRow[];
      let previous = rows[0]!.previous;
      for (const row of rows) {
        const subject = row.seq === from ? 'somebody else' : row.subject;
        const hash = hashRow({ ...row, subject, previous });
        const update = db.prepare('update audit set subject = ?, previous = ?, hash = ? where seq = ?');
        update.run(subject, previous, hash, row.seq);
        previous = hash;
      }
      db.prepare('update audit_head set hash = ?').run(previous);
    };
    for (let from = 1; from <= 8; from++)
      expect(await broken(rewrite(from))).to.deep.include({ seq: 8, reason: 'altered' });
    // What nobody has signed yet.
    expect(await broken(rewrite(9))).to.equal(null);
  });

  it('a record that was altered with its hash, by the one after it, and the last one by the stored head', async () => {
    for (let seq = 1; seq <= records; seq++) {
      const found = await broken(() => {
        const row = db.prepare('select * from audit where seq = ?').get(seq) as AuditRow;
        const hash = hashRow({ ...row, outcome: 'denied' });
        db.prepare("update audit set outcome = 'denied', hash = ? where seq = ?").run(hash, seq);
      });
      expect(found).to.deep.include({ seq: Math.min(seq + 1, records), reason: 'altered' });
    }
  });

  it('what comes after a record that was verified, and that one', async () => {
    const from = { seq: 8, hash: (await store.audit.hashOf(8))!, by: 'What was verified before' };
    const recently = async (work: () => void) => (await tampered(work, [], { from })).broken;
    expect(await recently(() => undefined)).to.equal(null);
    expect(await store.audit.verify({ ...genuine, from })).to.deep.include({ records: records - 8 });
    const alter = (seq: number) => () => db.prepare("update audit set outcome = 'denied' where seq = ?").run(seq);
    expect(await recently(alter(9))).to.deep.include({ seq: 9, reason: 'altered' });
    expect(await recently(alter(3)), 'not what comes before').to.equal(null);
    for (const hash of ['zeroblob(32)', "'text'", '7'])
      expect(await recently(() => db.prepare(`update audit set hash = ${hash} where seq = 8`).run())).to.deep.include({
        seq: 8,
        reason: 'altered',
      });
    const shorten = (last: number) => () => db.prepare('delete from audit where seq > ?').run(last);
    expect(await recently(shorten(10))).to.deep.include({ seq: 11, reason: 'truncated' });
    expect(await recently(shorten(7))).to.deep.include({ seq: 8, reason: 'altered' });
  });

  it('a record that takes the place of one that retention has removed, or of none', async () => {
    const slip = (seq: number) => () => db.prepare('update audit set seq = ? where seq = 1').run(seq);
    expect(await broken(slip(0))).to.deep.include({ seq: 0, reason: 'reordered' });
    const head = (await store.audit.hashOf(3))!;
    const cut = (last: number) => () => {
      db.prepare("insert into audit_seals values ('cut', 3, ?, 1, 'p', 's')").run(head);
      db.prepare('delete from audit where seq <= 3 and seq <> ?').run(last);
    };
    expect((await tampered(cut(0))).broken).to.equal(null);
    expect(await broken(cut(2))).to.deep.include({ seq: 2, reason: 'reordered' });
  });

  it('a head that was put back, or is gone', async () => {
    const back = () => db.prepare('update audit_head set seq = 4, hash = (select hash from audit where seq = 4)').run();
    expect(await broken(back)).to.deep.include({ seq: 5, reason: 'reordered' });
    expect((await broken(() => db.prepare('delete from audit_head').run())).reason).to.equal('reordered');
  });

  it('a checkpoint that nobody signed', async () => {
    const found = await store.audit.verify({ isGenuine: async () => false });
    expect(found.broken).to.deep.include({ seq: 8, reason: 'unsigned' });
  });
});

describe('audit after a restore', () => {
  const file = createTestFile(createTestClock());
  after(() => file.remove());

  it('goes on beyond every number that may have been given out since, and tells what is lost', async () => {
    const store = await file.open();
    for (let i = 0; i < 3; i++) await store.audit.append(auditEntry());
    const target = `${file.directory}/copy.db`;
    await store.backup(target);
    await store.audit.append(auditEntry({ subject: 'lost' }));
    const lost = { seq: 4, hash: (await store.audit.hashOf(4))!, by: 'Partner east' };

    const restored = await file.open({ url: `sqlite:${target}`, restored: true });
    await restored.audit.append(auditEntry());
    const [, , , record, next] = await restored.audit.list();
    expect(record).to.deep.include({ kind: 'configuration', outcome: 'restored', details: { after: 3 } });
    expect(record!.seq).to.be.greaterThan(2 ** 40);
    expect(next!.seq).to.equal(record!.seq + 1);
    const unsigned = await restored.audit.verify(genuine);
    expect(unsigned.broken).to.deep.include({ seq: 4, reason: 'truncated' });
    expect(await restored.audit.restores()).to.deep.equal([{ seq: record!.seq, hash: record!.hash }]);
    const seal = { head: record!.hash, at: 7, payload: 'p', signature: 's' };
    await restored.audit.sealRestore({ seq: record!.seq, ...seal, head: Buffer.alloc(32) });
    expect((await restored.audit.verify(genuine)).broken?.reason).to.equal('truncated');
    const db = new Sqlite(target);
    db.prepare('delete from audit_seals').run();
    await restored.audit.sealRestore({ seq: record!.seq, ...seal });
    const found = await restored.audit.verify({ ...genuine, witnesses: [lost] });
    const gap = { from: 4, till: record!.seq - 1, sealedAt: 7, witness: lost };
    expect(found).to.deep.include({ broken: null, gaps: [gap] });
    expect((await restored.audit.verify({ isGenuine: async () => false })).broken?.reason).to.equal('unsigned');

    // What this cloud has signed itself is lost by no restore of it.
    await restored.audit.addCheckpoint({ seq: 4, ...seal, head: lost.hash });
    expect((await restored.audit.verify(genuine)).broken).to.deep.include({ seq: 4, reason: 'truncated' });
    db.prepare("delete from audit_seals where kind = 'checkpoint'").run();

    db.prepare('delete from audit where seq = 3').run();
    expect((await restored.audit.verify(genuine)).broken).to.deep.include({ seq: 3, reason: 'missing' });
    // A note of a restore that nobody sealed is none.
    db.prepare("update settings set value = 'AAAA' where key like 'audit_restored_%'").run();
    expect(await restored.audit.restores()).to.deep.equal([]);
    db.close();
  });
});
