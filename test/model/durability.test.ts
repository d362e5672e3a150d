/** What a power failure may take: nothing that trust depends on, and the last second of what costs only a handshake. */
import { statSync } from 'node:fs';
import { expect } from 'chai';
import { sql } from 'kysely';
import { createAudit } from '../../src/model/audits.ts';
import { type Database, openDatabase } from '../../src/model/database.ts';
import { createPartners } from '../../src/model/partners.ts';
import { auditEntry } from '../support/audit.ts';
import { createTestClock, createTestFile, newPartner, type TestFile, testKeyring } from '../support/store.ts';

const full = 2;
const normal = 1;

/** Notes by which face of the database something is written. */
function watching() {
  const used: string[] = [];
  const watched = (face: Database, name: string, light = face.light): Database => ({
    ...face,
    light,
    write: (work) => {
      used.push(name);
      return face.write(work);
    },
    get writer() {
      used.push(name);
      return face.writer;
    },
  });
  return { used, watched };
}

describe('durability', () => {
  const clock = createTestClock();
  let file: TestFile;
  let db: Database;

  beforeEach(async () => {
    file = createTestFile(clock);
    db = await openDatabase(file.url, { now: clock.now(), busyTimeoutMs: 1000 });
  });
  afterEach(async () => {
    await db.close();
    file.remove();
  });

  let asked = 0;
  /** SQLite answers this when the statement is prepared, so that no two may be the same. */
  const synchronous = () => sql.raw<{ synchronous: number }>(`pragma synchronous -- ${++asked}`);
  const inTransaction = ({ write }: Database) =>
    write(async (trx) => (await synchronous().execute(trx)).rows[0]?.synchronous);
  const alone = async ({ writer }: Database) => (await synchronous().execute(writer)).rows[0]?.synchronous;

  it('each write has its own, however many wait for their turn', async () => {
    const levels = await Promise.all(
      Array.from({ length: 20 }, (_, index) => {
        const face = index % 3 === 0 ? db.light : db;
        return index % 2 === 0 ? inTransaction(face) : alone(face);
      }),
    );
    expect(levels).to.deep.equal(levels.map((_, index) => (index % 3 === 0 ? normal : full)));
    expect(db.light.light).to.equal(db.light);
  });

  it('a transaction that fails leaves the next one its own', async () => {
    const failure = new Error('on purpose');
    const thrown = await db.light.write(() => Promise.reject(failure)).catch((error: unknown) => error);
    expect(thrown).to.equal(failure);
    expect(await inTransaction(db)).to.equal(full);
  });

  it('trust is written to the disk, notes are not', async () => {
    const { used, watched } = watching();
    const partners = createPartners(watched(db, 'disk', watched(db.light, 'light')), clock);
    const { uid } = await partners.add(newPartner('east'));
    used.length = 0;
    const usedBy = async (act: () => Promise<unknown>) => {
      await act();
      return used.splice(0);
    };
    expect(await usedBy(() => partners.apply(uid, 'suspend'))).to.deep.equal(['disk']);
    expect(await usedBy(() => partners.update(uid, { role: 'consumer' }))).to.deep.equal(['disk']);
    expect(await usedBy(() => partners.touch(uid, 5))).to.deep.equal(['light']);
    const error = { at: 6, code: 1004, name: 'unreachable', message: 'gone' };
    expect(await usedBy(() => partners.recordError(uid, error))).to.deep.equal(['light']);
    expect(await usedBy(() => partners.remove(uid))).to.deep.equal(['disk']);
  });

  it('records of the audit are notes until their head is signed', async () => {
    const { used, watched } = watching();
    const audit = createAudit(watched(db, 'disk', watched(db.light, 'light')), clock, testKeyring);
    await audit.append(auditEntry());
    expect(used.splice(0)).to.deep.equal(['light']);
    const log = `${file.path}-wal`;
    const before = statSync(log).size;
    const { seq, hash } = await audit.head();
    expect(used.splice(0)).to.deep.equal(['disk']);
    expect(statSync(log).size, 'something is written, or nothing would reach the disk').to.be.greaterThan(before);
    await audit.addCheckpoint({ seq, head: hash, at: 1, payload: 'p', signature: 's' });
    await audit.cut({ seq, head: hash, at: 1, payload: 'p', signature: 's' });
    expect(used).to.deep.equal(['disk', 'disk']);
    await audit.close();
  });
});
