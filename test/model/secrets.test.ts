/** What is secret in the database, and what a backup and a restore make of it. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import type { CloudId } from '../../src/core/ids.ts';
import { Keyring } from '../../src/crypto/keyring.ts';
import { checkDatabaseFile } from '../../src/model/database.ts';
import { migrations } from '../../src/model/migrations/index.ts';
import type { Partner } from '../../src/model/partner.ts';
import type { StoredSession } from '../../src/model/session.ts';
import type { Store } from '../../src/model/store.ts';
import { refusal, rejection } from '../support/errors.ts';
import {
  createTestClock,
  createTestFile,
  newInvitation,
  newPartner,
  newSession,
  type TestFile,
  testStart,
} from '../support/store.ts';

const otherKeyring = new Keyring(1, new Map([[1, Buffer.alloc(32, 8)]]));
const [firstKey, secondKey] = [Buffer.alloc(32, 7), Buffer.alloc(32, 9)] as const;
const rotatedKeyring = new Keyring(
  2,
  new Map([
    [1, firstKey],
    [2, secondKey],
  ]),
);
const newOnlyKeyring = new Keyring(2, new Map([[2, secondKey]]));

describe('secrets in the database', () => {
  let file: TestFile;
  let store: Store;
  let east: Partner;
  let session: StoredSession;
  const invitation = newInvitation();

  beforeEach(async () => {
    file = createTestFile(createTestClock());
    store = await file.open();
    east = await store.partners.add(newPartner('east'));
    session = newSession(east);
    await store.sessions.insert(session);
    await store.invitations.create(invitation);
  });
  afterEach(() => file.remove());

  const raw = <T>(work: (db: Sqlite.Database) => T): T => {
    const db = new Sqlite(file.path);
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  const open = () => store.sessions.findLive(session.sid, 'responder', testStart);

  it('are nowhere in its files in clear', () => {
    const secrets = [session.secret, session.continuity!, invitation.kp];
    for (const name of readdirSync(file.directory)) {
      const bytes = readFileSync(join(file.directory, name));
      for (const secret of secrets) expect(bytes.includes(secret), name).to.equal(false);
    }
  });

  it('leave no sealed trace when they end', async () => {
    const sealed = raw((db) => db.prepare('select secret from sessions').pluck().get() as Buffer);
    await store.sessions.close(session.sid);
    raw((db) => db.pragma('wal_checkpoint(TRUNCATE)'));
    expect(readFileSync(file.path).includes(sealed)).to.equal(false);
  });

  it('open only where they were sealed: not in another row, column, partner or table, and not altered', async () => {
    const other = newSession(east);
    await store.sessions.insert(other);
    const west = await store.partners.add(newPartner('west'));
    const tamperings: [string, unknown[]][] = [
      [
        'update sessions set secret = (select secret from sessions where sid = ?) where sid = ?',
        [other.sid, session.sid],
      ],
      ['update sessions set secret = continuity where sid = ?', [session.sid]],
      ['update sessions set partner_uid = ? where sid = ?', [west.uid, session.sid]],
      ['update sessions set secret = (select kp from invitations) where sid = ?', [session.sid]],
      ["update sessions set secret = x'00' where sid = ?", [session.sid]],
    ];
    for (const [sql, parameters] of tamperings) {
      const before = raw((db) =>
        db.prepare('select secret, partner_uid, sid from sessions where sid = ?').get(session.sid),
      );
      raw((db) => db.prepare(sql).run(parameters));
      await rejection(open(), 'seal_broken');
      raw((db) =>
        db.prepare('update sessions set secret = @secret, partner_uid = @partner_uid where sid = @sid').run(before),
      );
      expect(await open()).to.deep.equal(session);
    }
    raw((db) => db.prepare('update invitations set kp = (select secret from sessions limit 1)').run());
    await rejection(store.invitations.find(invitation.id), 'seal_broken');
  });

  it('belong to one keyring: another one is refused at start', async () => {
    const error = await rejection(file.open({ keyring: otherKeyring }), 'seal_broken');
    expect(error.details).to.contain('key-encryption key');
  });

  it('are opened by older keys of the keyring, too', async () => {
    await rejection(file.open({ keyring: newOnlyKeyring }), 'seal_broken');
    const rotated = await file.open({ keyring: rotatedKeyring });
    expect(await rotated.sessions.findLive(session.sid, 'responder', testStart)).to.deep.equal(session);
  });

  describe('in a backup', () => {
    it('made while others write, is one private file that is whole', async () => {
      const target = join(file.directory, 'copy.db');
      writeFileSync(target, 'an older one');
      let stop = false;
      const writing = (async () => {
        for (let i = 0; !stop; i++) {
          await store.feed.append('x', { i });
          await setImmediate();
        }
      })();
      await store.backup(target);
      stop = true;
      await writing;
      expect(statSync(target).mode & 0o777).to.equal(0o600);
      expect(readdirSync(file.directory).filter((name) => name.startsWith('copy'))).to.deep.equal(['copy.db']);
      expect(checkDatabaseFile(target)).to.equal(migrations.length);
      const copy = await file.open({ url: `sqlite:${target}` });
      expect(await copy.sessions.findLive(session.sid, 'responder', testStart)).to.deep.equal(session);
    });

    it('that cannot be written, says so and leaves the former one', async () => {
      await rejection(store.backup(join(file.directory, 'absent', 'copy.db')), 'database_read_only');
    });

    it('that was restored: partners are there, what ended since does not come back, readers of the feed resynchronise', async () => {
      const target = join(file.directory, 'copy.db');
      await store.feed.append('x', {});
      await store.leases.acquire('l', 'somebody', 1_000_000);
      await store.settings.set('k', 'v');
      const epoch = await store.trustEpoch();
      await store.backup(target);
      const head = await store.feed.append('y', {});

      const restored = await file.open({ url: `sqlite:${target}`, keyring: otherKeyring, restored: true });
      expect(await restored.partners.list()).to.deep.equal([east]);
      expect(await restored.sessions.list()).to.deep.equal([]);
      expect(await restored.invitations.list()).to.deep.equal([]);
      expect(await restored.settings.get('k')).to.equal('v');
      expect(await restored.leases.acquire('l', 'me', 1)).to.equal(true);
      expect(await restored.trustEpoch()).to.be.greaterThan(epoch);
      for (const after of [0, head, head + 1000]) expect((await restored.feed.read({ after })).gap).to.equal(true);
      const next = (await restored.feed.read({ after: 0 })).next;
      expect(await restored.feed.append('z', {})).to.equal(next + 1);
      expect((await restored.feed.read({ after: next })).entries.map(({ subject }) => subject)).to.deep.equal(['z']);
      await restored.sessions.insert(newSession(east));
      await file.open({ url: `sqlite:${target}`, keyring: otherKeyring });
    });

    it('is checked before a restore: a row without its partner is damage, an empty database none of ours', async () => {
      const target = join(file.directory, 'copy.db');
      await store.replays.insert('east' as CloudId, Buffer.alloc(16), 1);
      await store.backup(target);
      const copy = new Sqlite(target);
      copy.pragma('foreign_keys = OFF');
      copy.exec('delete from partners');
      copy.close();
      refusal(() => checkDatabaseFile(target), 'database_corrupt');
      const empty = join(file.directory, 'empty.db');
      writeFileSync(empty, '');
      refusal(() => checkDatabaseFile(empty), 'database_corrupt');
    });
  });
});
