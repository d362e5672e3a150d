/** What a running broker does with an audit that somebody meddles with, whose clock leaps, or that has grown old. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import { verifyAudit } from '../../src/broker/audit.ts';
import { isAuditWhole, signAudit, tendAudit } from '../../src/broker/auditTask.ts';
import { initHome } from '../../src/broker/init.ts';
import { type Installation, openInstallation } from '../../src/broker/installation.ts';
import { signStatement } from '../../src/channel/checkpoint.ts';
import { dayMs } from '../../src/core/clock.ts';
import { createLogger } from '../../src/core/log.ts';
import { hashRow } from '../../src/model/auditChain.ts';
import type { AuditRow } from '../../src/model/tables.ts';
import { auditEntry } from '../support/audit.ts';
import { createShiftedClock, type ShiftedClock } from '../support/clock.ts';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';

const env = { ALLIANCE_AUDIT__KEEP_DAYS: '20' };

describe('the audit of a running broker', () => {
  const template = temporaryDirectory();
  let directory: ReturnType<typeof temporaryDirectory>;
  let clock: ShiftedClock;
  let installation: Installation;
  let db: Sqlite.Database;

  before(async () => {
    await initHome({ home: template.path, env, cloudId: 'east', advertise: ['tls://east.example:9443'] });
  });
  after(() => template.remove());

  beforeEach(async () => {
    directory = temporaryDirectory();
    cpSync(template.path, directory.path, { recursive: true });
    clock = createShiftedClock();
    await start();
    db = new Sqlite(join(directory.path, 'alliance.db'));
  });
  afterEach(async () => {
    db.close();
    await installation.close();
    directory.remove();
  });

  const start = async () => {
    const log = createLogger({ level: 'silent' });
    installation = await openInstallation({ home: directory.path, env, clock, log });
  };
  const restart = async () => {
    await installation.close();
    await start();
  };
  const append = async (count: number) => {
    for (let i = 0; i < count; i++) await installation.store.audit.append(auditEntry({ subject: `user ${i}` }));
  };
  /** The broker runs for so many days, and each day something happens. */
  const live = async (days: number) => {
    for (let day = 0; day < days; day++) {
      clock.advance(dayMs);
      await append(1);
      expect(await tendAudit(installation)).to.equal(true);
    }
  };
  const numbers = () => db.prepare('select seq from audit order by seq').pluck().all() as number[];
  const cutAt = async () => (await installation.store.audit.seal('cut'))?.seq ?? null;
  const broken = async () => (await verifyAudit(installation)).broken;
  const run = (args: string) => runCommand(args.split(' '), { home: directory.path, env });
  const alter = (seq: number) => db.prepare("update audit set outcome = 'denied' where seq = ?").run(seq);

  /** Everything again with `changes`, in hashes that fit. */
  const rewrite = (changes: Partial<AuditRow>) => {
    let previous: Buffer = Buffer.alloc(32);
    for (const row of db.prepare('select * from audit order by seq').all() as AuditRow[]) {
      const made = { ...row, ...changes, previous };
      const hash = hashRow(made);
      const update = db.prepare('update audit set at = ?, outcome = ?, previous = ?, hash = ? where seq = ?');
      update.run(made.at, made.outcome, previous, hash, row.seq);
      previous = hash;
    }
    db.prepare('update audit_head set hash = ?').run(previous);
  };

  it('is cut at the last checkpoint that is old enough, and stays whole', async () => {
    await append(10);
    await live(1);
    const { seq } = (await installation.store.audit.seal('checkpoint'))!;
    await live(19);
    expect(await cutAt()).to.equal(null);
    clock.advance(dayMs);
    expect(await tendAudit(installation)).to.equal(true);
    expect([await cutAt(), numbers()[0]]).to.deep.equal([seq, seq + 1]);
    await live(3);
    expect(await cutAt()).to.equal(seq + 3);
    expect(await broken()).to.equal(null);
  });

  it('loses no record because somebody made it look old', async () => {
    await append(20);
    await signAudit(installation);
    const all = numbers();
    await restart();
    db.prepare('update audit set at = 1 where seq <= 15').run();
    await tendAudit(installation);
    await tendAudit(installation);
    // Behind them stands what was found.
    expect([numbers().slice(0, all.length), await cutAt()]).to.deep.equal([all, null]);
    expect(await broken()).to.deep.include({ seq: 1, reason: 'altered' });
  });

  it('loses no record that was altered, however old it is', async () => {
    await append(20);
    await live(15);
    alter(7);
    for (let day = 0; day < 10; day++) {
      clock.advance(dayMs);
      await append(1);
      await tendAudit(installation);
    }
    await restart();
    await tendAudit(installation);
    expect([numbers()[0], await cutAt()]).to.deep.equal([1, null]);
    expect(await broken()).to.deep.include({ seq: 7, reason: 'altered' });
  });

  it('loses no record because its whole history was written anew as an old one', async () => {
    await append(20);
    await signAudit(installation);
    const all = numbers();
    rewrite({ at: 1 });
    db.prepare('delete from audit_seals').run();
    expect(await isAuditWhole(installation), 'this process remembers').to.equal(false);
    await restart();
    for (let round = 0; round < 2; round++) await tendAudit(installation);
    // Behind them stands what was found.
    expect([numbers().slice(0, all.length), await cutAt()]).to.deep.equal([all, null]);
  });

  it('loses no record by checkpoints that nobody signed', async () => {
    await live(15);
    db.prepare('update audit_seals set at = 1').run();
    await restart();
    expect(await tendAudit(installation)).to.equal(false);
    expect([numbers()[0], await cutAt()]).to.deep.equal([1, null]);
  });

  it('that cannot be read for what somebody wrote into it is not whole, and known as that', async () => {
    await append(5);
    await signAudit(installation);
    db.close();
    await installation.close();
    const file = join(directory.path, 'alliance.db');
    cpSync(file, directory.file('good.db'));
    const wrongs = [
      'delete from audit_head',
      "update audit_head set hash = 'text'",
      'update audit_seals set at = 1e300',
      "update audit_seals set head = 'text'",
      "update audit set hash = 'text' where seq = 6",
      "update audit set seq = 'text' where seq = 3",
    ];
    for (const wrong of wrongs) {
      cpSync(directory.file('good.db'), file);
      const other = new Sqlite(file);
      other.exec(wrong);
      other.close();
      await start();
      expect(await tendAudit(installation), wrong).to.equal(false);
      expect(installation.auditWatch.finding, wrong).to.be.an('object');
      expect((await run('status')).code, wrong).to.equal(1);
      await installation.close();
    }
    await start();
  });

  it('loses nothing at once when the clock leaps, and what is old after some days', async () => {
    await append(5);
    await live(15);
    const last = numbers().at(-1)!;
    clock.advance(400 * dayMs);
    await live(6);
    expect([numbers()[0], await cutAt()]).to.deep.equal([1, null]);
    await live(2);
    expect(await cutAt()).to.equal(last);
    expect(await broken()).to.equal(null);
  });

  it('signs nothing and loses nothing after a start with the clock in the past', async () => {
    await append(5);
    await live(15);
    const before = await installation.store.audit.seal('checkpoint');
    const all = numbers();
    clock.advance(-730 * dayMs);
    await restart();
    await append(1);
    expect(await tendAudit(installation), 'what is new is whole').to.equal(true);
    expect(await installation.store.audit.seal('checkpoint')).to.deep.equal(before);
    const { code, stdout, stderr } = await run('status');
    expect([code, stdout]).to.satisfy(() => code === 1 && stdout.includes('The clock is behind'), stdout + stderr);
    const exported = await run('audit export');
    expect([exported.code, exported.stderr.includes('The clock is behind')]).to.deep.equal([1, true]);
    expect(exported.stdout).not.to.contain('checkpoint');

    clock.advance(731 * dayMs);
    await restart();
    await append(1);
    for (let round = 0; round < 2; round++) expect(await tendAudit(installation)).to.equal(true);
    expect([numbers().slice(0, all.length), await cutAt()]).to.deep.equal([all, null]);
    expect((await installation.store.audit.seal('checkpoint'))!.seq).to.be.greaterThan(before!.seq);
  });

  it('loses nothing by a checkpoint of its own that a clock in the past has signed', async () => {
    await append(5);
    await live(15);
    await append(1);
    const { seq, hash, at: now } = await installation.store.audit.head();
    const at = now - 730 * dayMs;
    const statement = await signStatement('checkpoint', installation.view.current.identity, { seq, hash, at });
    await installation.store.audit.addCheckpoint({ seq, head: hash, at, ...statement });
    await restart();
    await live(3);
    expect([numbers()[0], await cutAt()]).to.deep.equal([1, null]);
    await live(3);
    expect(await cutAt(), 'the first is old enough by then').to.be.within(1, seq - 1);
  });

  it('signs again once a checkpoint of a clock that was ahead is removed, as docs/audit.md says', async () => {
    await append(5);
    await live(1);
    clock.advance(900 * dayMs);
    await live(1);
    const { seq, at } = (await installation.store.audit.seal('checkpoint'))!;
    clock.advance(-900 * dayMs);
    await append(1);
    expect(await tendAudit(installation)).to.equal(true);
    expect((await installation.store.audit.seal('checkpoint'))!.seq).to.equal(seq);
    await installation.close();
    db.prepare("delete from audit_seals where kind = 'checkpoint' and at > ?").run(at - dayMs);
    await start();
    await live(1);
    expect((await installation.store.audit.seal('checkpoint'))!.seq).to.be.greaterThan(seq);
    expect(await broken()).to.equal(null);
  });

  it('goes on after all of it was cut away', async () => {
    await append(5);
    await signAudit(installation);
    const { seq, hash, at } = await installation.store.audit.head();
    const statement = await signStatement('cut', installation.view.current.identity, { seq, hash, at });
    await installation.store.audit.cut({ seq, head: hash, at, ...statement });
    for (let round = 0; round < 3; round++) {
      expect(await tendAudit(installation), `round ${round}`).to.equal(true);
      await restart();
      expect(await isAuditWhole(installation)).to.equal(true);
    }
    await live(2);
    expect(await broken()).to.equal(null);
  });

  it('that is not whole is exported without a signature, and stays known as that', async () => {
    await append(5);
    await signAudit(installation);
    await append(5);
    alter(9);
    const { code, stdout, stderr } = await run('audit export');
    expect([code, stderr.includes('not whole')]).to.deep.equal([1, true]);
    const lines = stdout.trimEnd().split('\n');
    expect([lines.length, lines.at(-1)!.includes('checkpoint')]).to.deep.equal([numbers().length, false]);
    await restart();
    expect(await isAuditWhole(installation)).to.equal(false);
    expect(await signAudit(installation)).to.equal(false);
  });

  it('shows in the status as what it is, until it is right again', async () => {
    const attention = async () => {
      const { code, stdout, stderr } = await run('status --json');
      expect(stderr).to.equal('');
      const { attention: list } = JSON.parse(stdout) as { attention: { kind: string; message: string }[] };
      return [code, list.filter(({ kind }) => kind === 'audit').map(({ message }) => message)];
    };
    await append(5);
    await signAudit(installation);
    await append(2);
    expect(await attention()).to.deep.equal([0, []]);
    const repair = (seq: number) => db.prepare("update audit set outcome = 'accepted' where seq = ?").run(seq);

    alter(3);
    expect(await tendAudit(installation), 'what is new is signed all the same').to.equal(true);
    expect(installation.auditWatch.finding).to.deep.include({ seq: 3, reason: 'altered' });
    expect((await attention()).flat().join()).to.match(/^1,Our audit is not whole, record 3 is altered/);
    repair(3);
    expect(await tendAudit(installation)).to.equal(true);
    expect([await attention(), installation.auditWatch.finding]).to.deep.equal([[0, []], null]);

    await append(2);
    const last = numbers().at(-1)!;
    alter(last);
    // What is new is read for the status itself.
    expect((await attention()).flat().join()).to.contain(`record ${last} is altered`);
    repair(last);
    expect(await attention()).to.deep.equal([0, []]);

    alter(3);
    await run('audit verify');
    expect((await attention())[0], 'as a command found it').to.equal(1);
  });

  it('is whole again after the restore of a backup from before', async () => {
    await append(5);
    await signAudit(installation);
    expect((await run(`backup ${directory.file('before.backup')}`)).code).to.equal(0);
    await append(5);
    alter(9);
    expect(await tendAudit(installation)).to.equal(false);
    expect((await run(`backup ${directory.file('broken.backup')}`)).code, 'what is broken can be kept').to.equal(0);
    await installation.close();
    const { code, stderr } = await run(`restore ${directory.file('before.backup')} --force`);
    expect(code, stderr).to.equal(0);
    await start();
    expect(await tendAudit(installation)).to.equal(true);
    expect(installation.auditWatch.finding).to.equal(null);
    const { stdout, code: verified } = await run('audit verify');
    expect(verified, stdout).to.equal(0);
    expect(stdout).to.match(/numbers \d+ to \d+ are lost by a restore/);
  });

  it('lets the broker stop between two turns, and goes on after the next start', async () => {
    await append(5);
    await live(20);
    clock.advance(dayMs);
    const stopped = tendAudit(installation, { signal: AbortSignal.abort() });
    expect(String(await stopped.catch((error: unknown) => error))).to.contain('AbortError');
    expect(await cutAt()).to.equal(null);
    await restart();
    expect(await tendAudit(installation)).to.equal(true);
    expect(await cutAt()).not.to.equal(null);
    expect(await broken()).to.equal(null);
  });

  it('is read through slowly, over several rounds', async () => {
    await Promise.all(Array.from({ length: 2500 }, () => installation.store.audit.append(auditEntry())));
    await signAudit(installation);
    await restart();
    alter(2200);
    const round = async () => {
      expect(await tendAudit(installation, { walkRows: 1000 })).to.equal(true);
      return installation.auditWatch.finding?.seq;
    };
    expect([await round(), await round(), await round(), await round()]).to.deep.equal([
      undefined,
      undefined,
      2200,
      2200,
    ]);
  });

  describe('that is read slowly', () => {
    const many = async (count: number) => {
      await Promise.all(Array.from({ length: count }, () => installation.store.audit.append(auditEntry())));
      await signAudit(installation);
    };
    const round = async (walkRows: number) => {
      expect(await tendAudit(installation, { walkRows })).to.equal(true);
      return installation.auditWatch.finding?.seq ?? null;
    };
    const repair = (seq: number) => db.prepare("update audit set outcome = 'accepted' where seq = ?").run(seq);

    it('ends what was found once it is right again, however far the walk still has to go', async () => {
      await many(2500);
      alter(300);
      expect([await round(200), await round(200), await round(200)]).to.deep.equal([null, 300, 300]);
      repair(300);
      await many(200);
      expect(await round(200)).to.equal(null);
      alter(100);
      await run('audit verify');
      expect(await round(200), 'as a command found it').to.equal(100);
      repair(100);
      await run('audit verify');
      expect((await run('status')).code).to.equal(0);
      expect(await round(200)).to.equal(null);
    });

    it('is told by the audit itself, with its end', async () => {
      await many(5);
      alter(3);
      for (let i = 0; i < 2; i++) await round(200);
      repair(3);
      for (let i = 0; i < 2; i++) await round(200);
      const found = (await installation.store.audit.list()).filter(({ outcome }) => outcome.startsWith('audit_'));
      expect(found.map(({ outcome, subject, details }) => [outcome, subject, details.reason])).to.deep.equal([
        ['audit_broken', '3', 'altered'],
        ['audit_mended', '3', 'altered'],
      ]);
      expect(await broken()).to.equal(null);
    });

    it('goes on after a restart where it was, by a note that only this broker can make', async () => {
      await many(2500);
      alter(2200);
      const restarted = async () => {
        await restart();
        return round(1000);
      };
      expect([await restarted(), await restarted(), await restarted()]).to.deep.equal([null, null, 2200]);
      repair(2200);
      db.prepare("update settings set value = 'AAAA' where key = 'audit_note_walked'").run();
      alter(100);
      await restart();
      expect(await round(1000), 'it begins anew').to.equal(100);
    });

    it('is read in a share of all in each round, so that it ends', async () => {
      await many(7200);
      await round(1);
      expect(await installation.store.audit.noteOf('walked'))
        .to.have.property('seq')
        .that.is.at.least(300);
    });
  });
});
