/** The audit of two clouds, as their operators see it: what it tells, what it hides, and what becomes of it when somebody meddles. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import { ownSeals, verifyAudit } from '../../src/broker/audit.ts';
import { askPartners, tellCheckpoint } from '../../src/broker/auditExchange.ts';
import { isAuditWhole, signAudit, tendAudit } from '../../src/broker/auditTask.ts';
import { startBroker } from '../../src/broker/broker.ts';
import { accept, approve, invite, refreshPairing } from '../../src/broker/partners.ts';
import { dayMs } from '../../src/core/clock.ts';
import { hashRow } from '../../src/model/auditChain.ts';
import type { Partner } from '../../src/model/partner.ts';
import type { AuditRow } from '../../src/model/tables.ts';
import { authenticate, validateToken } from '../../src/rproxy/auth.ts';
import { auditEntry } from '../support/audit.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { runCommand } from '../support/commandLine.ts';
import { rejection } from '../support/errors.ts';
import { checked } from '../support/jsonSchema.ts';
import { until } from '../support/until.ts';

interface Report {
  readonly ok: boolean;
  readonly records: number;
  readonly from: number | null;
  readonly unproven: number;
  readonly cut: { readonly seq: number } | null;
  readonly broken: { readonly seq: number; readonly reason: string } | null;
  readonly partners: readonly {
    readonly ours: object | null;
    readonly alarms: readonly string[];
    readonly answer: string;
  }[];
}

describe('audit of two clouds', () => {
  const clock = createShiftedClock();
  let east: Cloud;
  let west: Cloud;
  let atEast: Partner;
  let atWest: Partner;
  let invitation: string;

  before(async () => {
    const env = { ALLIANCE_PARTNERS__WEST__AUTHENTICATE: 'true', ALLIANCE_AUDIT__KEEP_DAYS: '10' };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', clock, env }),
      startCloud({ cloudId: 'west', clock }),
    ]);
    invitation = (await invite(east.installation, {})).token;
    const accepted = await accept(west.installation, invitation);
    atEast = await approve(east.installation, await east.partner('west'), accepted.code ?? '');
    atWest = await refreshPairing(west.installation, accepted);
  });
  after(stopClouds);

  const run = (cloud: Cloud, args: string) => runCommand(args.split(' '), { home: cloud.home, env: cloud.env });
  const verify = async (cloud: Cloud, more = ''): Promise<Report & { code: number }> => {
    const { code, stdout } = await run(cloud, `audit verify${more} --json`);
    return { code, ...checked<Report & Record<string, unknown>>('audit-verify', JSON.parse(stdout)) };
  };
  const list = async (cloud: Cloud, more = '') => {
    const { stdout } = await run(cloud, `audit list${more} --json`);
    const { records } = checked<{ records: { kind: string; outcome: string; details: object }[] }>(
      'audit-list',
      JSON.parse(stdout),
    );
    return records;
  };
  const outcomes = async (cloud: Cloud, more = '') =>
    (await list(cloud, more)).map((one) => `${one.kind} ${one.outcome}`);
  const exported = async (cloud: Cloud, name: string, more = '') => {
    const { code, stdout } = await run(cloud, `audit export${more}`);
    expect(code).to.equal(0);
    const file = join(cloud.home, name);
    writeFileSync(file, stdout);
    return { file, lines: stdout.trimEnd().split('\n') };
  };

  it('tells of pairing, handshakes and configuration, newest last', async () => {
    await tellCheckpoint(west.installation, atWest);
    expect(await outcomes(east, ' --kind pairing')).to.deep.equal(['pairing invited', 'pairing stored']);
    expect(await outcomes(west, ' --partner east')).to.include.members([
      'pairing stored',
      'trust approved',
      'handshake agreed',
    ]);
    const [loaded] = await list(east, ' --kind configuration');
    expect(loaded!.outcome).to.equal('loaded');
    expect(loaded!.details)
      .to.have.property('keys')
      .that.includes.members(['keystone.password', 'audit.keep_days', 'partners.west.authenticate']);
    const { stdout } = await run(east, 'audit list --limit 2');
    expect(stdout).to.match(/^NUMBER +TIME +KIND +OUTCOME.*\n\d+ .*\n\d+ .*\n$/);
    expect((await run(east, 'audit list --since 2099-01-01')).stdout).to.equal('No such records.\n');
    expect(await outcomes(east, ' --until 2020-01-01')).to.deep.equal([]);
  });

  it('tells which keys a reload changed, and nothing of one that failed', async () => {
    east.env.ALLIANCE_PARTNERS__WEST__CALLS_PER_S = '77';
    east.env.ALLIANCE_LISTEN__TCP = 'nonsense';
    await rejection(east.broker.reload(), 'configuration');
    delete east.env.ALLIANCE_LISTEN__TCP;
    await east.broker.reload();
    const last = await list(east, ' --kind configuration');
    expect(last.map(({ outcome }) => outcome)).to.deep.equal(['loaded', 'reloaded']);
    expect(last[1]!.details).to.deep.equal({ applied: ['partners.west.calls_per_s'], need_restart: [] });
  });

  it('tells of handshakes that a partner was refused, once in a while', async () => {
    await east.installation.store.partners.apply(atEast.uid, 'suspend');
    await east.installation.view.refresh();
    for (let i = 0; i < 3; i++) await rejection(west.installation.pool.open(atWest, true), 'partner_not_active');
    for (const cloud of [east, west])
      expect((await outcomes(cloud, ' --kind handshake')).filter((one) => one.endsWith('not_active'))).to.have.length(
        1,
      );
    await east.installation.store.partners.apply(atEast.uid, 'resume');
    await east.installation.view.refresh();
  });

  it('holds no secret of all that', async () => {
    const { pool } = west.installation;
    const user = { name: 'admin', domain: { name: 'Default' } };
    const password = east.keystone.adminPassword;
    await authenticate(pool, atWest, { kind: 'password', user, password }).catch(() => undefined);
    await validateToken(pool, atWest, 'gAAAAA-a-token-that-nobody-issued');
    const texts = (await Promise.all([east, west].map((cloud) => run(cloud, 'audit export')))).map((one) => one.stdout);
    const secrets = [password, west.keystone.adminPassword, 'gAAAAA-a-token', invitation, invitation.slice(-40)];
    for (const { installation } of [east, west])
      for (const { sid, direction } of await installation.store.sessions.list()) {
        const session = await installation.store.sessions.findLive(sid, direction, clock.now());
        for (const bytes of [session?.secret, session?.continuity])
          if (bytes) secrets.push(bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url'));
      }
    expect(secrets.length).to.be.greaterThan(8);
    for (const secret of secrets) for (const text of texts) expect(text).not.to.contain(secret);
  });

  it('is whole, also for the partner that holds its head', async () => {
    await tellCheckpoint(west.installation, atWest);
    await signAudit(west.installation);
    const report = await verify(west);
    expect([report.code, report.ok, report.partners.length]).to.deep.equal([0, true, 1]);
    expect(report.partners[0]!.ours).not.to.equal(null);
    const asked = await verify(west, ' --ask');
    expect([asked.code, asked.partners[0]!.answer]).to.deep.equal([0, 'told']);
    const { stdout } = await run(west, 'audit verify');
    expect(stdout)
      .to.match(/^audit +whole\n/)
      .and.match(/partner east +holds our record \d+/);
  });

  it('is looked at from its last checkpoint before a time, and as one partner knows it', async () => {
    await signAudit(west.installation);
    const now = new Date(clock.now()).toISOString();
    const { seq } = (await west.installation.store.audit.seal('checkpoint'))!;
    await west.installation.store.audit.append(auditEntry());
    const [all, late] = [await verify(west), await verify(west, ` --since ${now}`)];
    expect([all.from, late.from, late.code]).to.deep.equal([null, seq, 0]);
    expect(all.records - late.records).to.equal(seq);
    expect((await run(west, `audit verify --since ${now}`)).stdout).to.contain(
      `in order, from number ${seq + 1}, up to`,
    );
    expect((await verify(west, ' --since 1990-01-01')).from).to.equal(null);
    const known = await Promise.all(['east', 'north'].map((name) => verify(west, ` --partner ${name} --ask`)));
    expect(known.map(({ partners }) => partners.map(({ answer }) => answer))).to.deep.equal([['told'], []]);
    const { code, stderr } = await run(west, 'audit verify --file /dev/null --since 1h');
    expect(code).to.equal(2);
    expect(stderr).to.contain('--since and --partner are about the database');
  });

  it('exports all of it with its end, so that what is altered, missing or cut off shows', async () => {
    const { file, lines } = await exported(west, 'audit.jsonl');
    for (const line of lines) checked('audit-export', JSON.parse(line));
    const good = await verify(west, ` --file ${file}`);
    expect([good.code, good.records]).to.deep.equal([0, lines.length - 1]);
    const wrongs: [reason: string, lines: readonly string[]][] = [
      ['truncated', lines.slice(0, -1)],
      ['truncated', [...lines.slice(0, -2), lines.at(-1)!]],
      ['missing', [lines[0]!, ...lines.slice(2)]],
      ['missing', lines.slice(1)],
      ['altered', lines.map((line, i) => (i === 2 ? line.replace(/"outcome":"\w+"/, '"outcome":"else"') : line))],
      ['altered', lines.map((line, i) => (i === 2 ? '{"half":' : line))],
      ['missing', [lines[0]!, lines[2]!, lines[1]!, ...lines.slice(3)]],
      ['unsigned', [...lines.slice(0, -1), lines.at(-1)!.replace(/"at":\d/, '"at":9')]],
      ['reordered', [...lines, lines[0]!]],
    ];
    for (const [reason, wrong] of wrongs) {
      writeFileSync(file, `${wrong.join('\n')}\n`);
      const found = await verify(west, ` --file ${file}`);
      expect([found.code, found.broken?.reason]).to.deep.equal([1, reason]);
    }
  });

  it('exports a part, which is verified as such', async () => {
    const { file, lines } = await exported(west, 'part.jsonl', ' --kind handshake');
    expect(lines.length).to.be.greaterThan(1);
    expect((await verify(west, ` --file ${file}`)).broken?.reason).to.equal('missing');
    const part = await verify(west, ` --file ${file} --part`);
    expect([part.code, part.records]).to.deep.equal([0, lines.length]);
    writeFileSync(file, lines.join('\n').replace('"bootstrap"', '"optimistic"'));
    expect((await verify(west, ` --file ${file} --part`)).broken?.reason).to.equal('altered');
  });

  it('takes hashes that fit for no proof: records that it does not have are not called whole', async () => {
    const { file, lines } = await exported(west, 'forged.jsonl', ' --kind handshake');
    const forge = (seq: number): string => {
      const words = { actor: 'operator', outcome: 'approved', subject: 'evil', partner: null, rule: null };
      const common = { ...words, kind: 'trust', at: 1, seq, request_id: null };
      const previous = Buffer.alloc(32, 7);
      const hash = hashRow({ ...common, details: '{}', previous } as AuditRow);
      const texts = { previous: previous.toString('hex'), hash: hash.toString('hex') };
      return JSON.stringify({ v: 1, ...common, details: {}, ...texts });
    };
    const part = async (some: readonly string[]) => {
      writeFileSync(file, some.join('\n'));
      return verify(west, ` --file ${file} --part`);
    };
    const mixed = await part([...lines, forge(4711)]);
    expect([mixed.code, mixed.ok, mixed.unproven, mixed.broken]).to.deep.equal([3, false, 1, null]);
    expect((await run(west, `audit verify --file ${file} --part`)).stdout).to.match(/^audit +NOT PROVEN/);
    const known = JSON.parse(lines[0]!) as { seq: number };
    expect(await part([forge(known.seq)])).to.deep.include({ code: 1 });
    writeFileSync(file, '');
    const empty = await run(west, `audit verify --file ${file} --part`);
    expect([empty.code, empty.stdout, empty.stderr.includes('no record')]).to.deep.equal([2, '', true]);
  });

  it('that somebody shortens, with all that this cloud knows of it, is missed by the partner', async () => {
    await tellCheckpoint(west.installation, atWest);
    const db = new Sqlite(join(west.home, 'alliance.db'));
    const last = db.prepare('select max(seq) from audit').pluck().get() as number;
    db.prepare('delete from audit where seq > ?').run(last - 2);
    db.prepare('delete from audit_seals').run();
    db.prepare('update audit_head set seq = seq - 2, hash = (select hash from audit where seq = ?)').run(last - 2);
    const report = await verify(west);
    expect(report.code).to.equal(1);
    expect(report.broken).to.deep.include({ seq: last - 1, reason: 'truncated' });
    // Even where what east said is gone as well: it says it again, and refuses.
    db.prepare('delete from audit_checkpoints').run();
    db.close();
    expect((await verify(west)).ok).to.equal(true);
    const asked = await verify(west, ' --ask');
    expect([asked.code, asked.partners[0]!.answer]).to.deep.equal([1, 'refused']);
    const there = await verify(east);
    // West has recorded what it found, in the place of a record that was cut off.
    expect([there.code, there.partners[0]!.alarms]).to.deep.equal([3, ['forked']]);
    expect((await run(east, 'audit verify')).stdout).to.contain('SHOWS ANOTHER HISTORY');
    expect((await run(east, 'status')).stdout).to.contain('The audit of west shows another history');
  });

  it('is cut by age, and what is left follows a signed record of that', async () => {
    // Else its calls are recorded at any time, and the command line, whose clock is not moved on, may not sign what came since.
    await west.stopBroker();
    await signAudit(east.installation);
    const { seq: signed } = (await east.installation.store.audit.seal('checkpoint'))!;
    clock.advance(5 * dayMs);
    await east.installation.store.partners.update(atEast.uid, { name: 'occident' });
    await tendAudit(east.installation);
    clock.advance(6 * dayMs);
    await tendAudit(east.installation);
    const report = await verify(east);
    const [first] = await east.installation.store.audit.list({ limit: 1 });
    expect([report.broken, report.cut?.seq, first!.seq]).to.deep.equal([null, signed, signed + 1]);
    expect(report.cut!.seq).to.be.greaterThan(3);
    await signAudit(east.installation);
    const { file, lines } = await exported(east, 'cut.jsonl');
    expect(lines[0]).to.match(/^\{"cut"/);
    expect((await verify(east, ` --file ${file}`)).code).to.equal(0);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"cut":\{"seq":\d+/, '"cut":{"seq":1'));
    expect((await verify(east, ` --file ${file}`)).broken?.reason).to.equal('unsigned');
    // The name by which operators know it finds the records of before and after.
    expect(await outcomes(east, ' --partner occident'))
      .to.include('trust changed')
      .and.not.include('pairing stored');
  });
});

describe('a running broker', () => {
  afterEach(stopClouds);

  it('says that it was loaded only once its doors are open', async () => {
    const [east, west] = await Promise.all(['east', 'west'].map((cloudId) => startCloud({ cloudId })));
    const { home, env, broker } = east!;
    await broker.stop();
    const taken = west!.broker.addresses.tls!;
    await rejection(startBroker({ home, env, listen: { tls: taken } }), 'configuration');
    const { stdout } = await runCommand(['audit', 'list', '--kind', 'configuration', '--json'], { home, env });
    expect((JSON.parse(stdout) as { records: object[] }).records).to.have.length(1);
  });

  it('signs its audit and exchanges checkpoints by itself', async () => {
    const pauses = { checkpointMs: 50 };
    const [east, west] = await Promise.all(
      ['east', 'west'].map((cloudId) => startCloud({ cloudId, pauses, kind: 'Ed25519' })),
    );
    await pairClouds(east!, west!);
    for (const { installation } of [east!, west!])
      await until('the other one holds a head of ours', async () => {
        const { partners, broken } = await verifyAudit(installation);
        expect(broken).to.equal(null);
        return (partners[0]?.ours?.seq ?? 0) > 1;
      });
    const seal = await east!.installation.store.audit.seal('checkpoint');
    expect(await (await ownSeals(east!.installation))(seal!)).to.equal(true);
    expect(await (await ownSeals(west!.installation))(seal!)).to.equal(false);

    const isWhole = () => east!.metric('alliance_audit_whole');
    await until('all of it was read', async () => (await isWhole()) === 1);
    const db = new Sqlite(join(east!.home, 'alliance.db'));
    db.prepare("update audit set outcome = 'other' where seq = 1").run();
    db.close();
    await until('the record is missed', async () => (await isWhole()) === 0);
  });
});

describe('an audit that somebody rewrites', () => {
  let east: Cloud;
  let west: Cloud;
  let db: Sqlite.Database;

  beforeEach(async () => {
    const pauses = { checkpointMs: 100_000_000 };
    [east, west] = (await Promise.all(['east', 'west'].map((cloudId) => startCloud({ cloudId, pauses })))) as [
      Cloud,
      Cloud,
    ];
    await pairClouds(east, west, { role: 'both' });
    for (let i = 0; i < 2; i++) await askPartners(east.installation);
    await signAudit(east.installation);
    db = new Sqlite(join(east.home, 'alliance.db'));
  });
  afterEach(async () => {
    db.close();
    await stopClouds();
  });

  const verify = async (more: string) => {
    const { code, stdout } = await runCommand(['audit', 'verify', ...more.split(' '), '--json'], {
      home: east.home,
      env: east.env,
    });
    const { ok, broken, partners } = checked<Report & Record<string, unknown>>('audit-verify', JSON.parse(stdout));
    expect(ok, 'as the exit code says').to.equal(code === 0);
    return {
      code,
      reason: broken?.reason,
      answers: partners.map(({ answer }) => answer),
      alarms: partners.flatMap(({ alarms }) => alarms),
    };
  };

  /** Another history with hashes that fit, without our seals, and longer than the one that the partner knows. */
  const rewrite = async () => {
    const rows = db.prepare('select * from audit order by seq').all() as AuditRow[];
    let previous: Buffer = Buffer.alloc(32);
    for (const row of rows) {
      const outcome = row.outcome === 'stored' ? 'nothing' : row.outcome;
      const hash = hashRow({ ...row, outcome, previous });
      db.prepare('update audit set outcome = ?, previous = ?, hash = ? where seq = ?').run(
        outcome,
        previous,
        hash,
        row.seq,
      );
      previous = hash;
    }
    db.prepare('update audit_head set hash = ?').run(previous);
    db.prepare('delete from audit_seals').run();
    await east.installation.store.audit.append(auditEntry());
  };

  it('is named before and after partners were asked, as often as they are', async () => {
    await rewrite();
    for (let i = 0; i < 3; i++) {
      const { code, reason } = await verify('--ask');
      expect([code, reason]).to.deep.equal([1, 'altered']);
    }
  });

  it('is named by what the partner held before, also where all that it said is deleted', async () => {
    await rewrite();
    for (const table of ['audit_checkpoints', 'audit_statements']) db.prepare(`delete from ${table}`).run();
    expect((await verifyAudit(east.installation)).broken).to.equal(null);
    for (let i = 0; i < 3; i++) {
      const { code, reason, alarms } = await verify('--ask');
      expect([code, reason, alarms]).to.deep.equal([1, 'altered', ['disputed']]);
    }
  });

  it('is still named by status after a look at what came later found nothing', async () => {
    db.prepare("update audit set outcome = 'nothing' where seq = 1").run();
    const late = new Date(Date.now() + 1000).toISOString();
    const found: unknown[] = [];
    for (const more of ['--verbose', `--since ${late}`, '--partner west']) {
      const { reason } = await verify(more);
      const { stdout } = await runCommand(['status', '--json'], { home: east.home, env: east.env });
      found.push([reason, /audit/.test(JSON.stringify(JSON.parse(stdout).attention ?? stdout))]);
    }
    expect(found).to.deep.equal([
      ['altered', true],
      [undefined, true],
      ['altered', true],
    ]);
  });

  it('is neither signed nor told by the broker, while its seals are there', async () => {
    const seals = db.prepare('select * from audit_seals').all() as { seq: number }[];
    const before = await west.installation.store.audit.held();
    await rewrite();
    const insert = 'insert into audit_seals values (@kind, @seq, @head, @at, @payload, @signature)';
    for (const seal of seals) db.prepare(insert).run(seal);
    expect(await isAuditWhole(east.installation)).to.equal(false);
    expect([...(await askPartners(east.installation)).values()]).to.deep.equal(['withheld']);
    expect(await west.installation.store.audit.held()).to.deep.equal(before);
  });

  it('is not made shorter by the record of a restore that never was', async () => {
    const kept = db.prepare('select * from audit where seq = 2').get() as AuditRow;
    const made = {
      ...kept,
      seq: 1003,
      kind: 'configuration' as const,
      actor: 'operator',
      partner: null,
      subject: null,
    };
    const row = {
      ...made,
      outcome: 'restored',
      rule: null,
      request_id: null,
      details: '{"after":2}',
      previous: kept.hash,
    };
    const hash = hashRow(row);
    db.prepare('delete from audit where seq > 2').run();
    const columns = Object.keys(row);
    db.prepare(`insert into audit (${columns}, hash) values (${columns.map((name) => `@${name}`)}, @hash)`).run({
      ...row,
      hash,
    });
    db.prepare('update audit_head set seq = 1003, hash = ?').run(hash);
    for (const table of ['audit_checkpoints', 'audit_seals', 'audit_statements']) {
      db.prepare(`delete from ${table}`).run();
      const { code, reason } = await verify('--ask');
      expect([code, reason], table).to.deep.equal([1, 'truncated']);
    }
  });

  it('is not called confirmed when the partner that was to be asked cannot be reached', async () => {
    await west.broker.stop();
    const { code, answers } = await verify('--ask');
    expect([code, answers]).to.deep.equal([3, ['unreachable']]);
  });
});
