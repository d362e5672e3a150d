/** What becomes of a database file that is not as it should be, and what the file itself shows. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import type { ErrorName } from '../../src/core/errorTable.ts';
import { checkDatabaseFile } from '../../src/model/database.ts';
import { mapDatabaseError } from '../../src/model/databaseError.ts';
import { migrations } from '../../src/model/migrations/index.ts';
import { refusal, rejection } from '../support/errors.ts';
import { createTestClock, createTestFile, newPartner, type TestFile } from '../support/store.ts';

describe('database file', () => {
  let file: TestFile;

  beforeEach(() => {
    file = createTestFile(createTestClock());
  });
  afterEach(() => file.remove());

  const refused = async (name: ErrorName, url = file.url): Promise<void> => {
    const error = await rejection(file.open({ url, busyTimeoutMs: 50 }), name);
    expect(error.details).to.contain(url.slice('sqlite:'.length));
  };
  /** A database with something in it, closed. */
  const fill = async (): Promise<void> => {
    const store = await file.open();
    for (let i = 0; i < 50; i++) await store.partners.add(newPartner(`cloud-${i}`));
    await store.close();
  };

  it('is private, and so are its log files', async () => {
    await (await file.open()).settings.set('k', 'v');
    const names = readdirSync(file.directory);
    expect(names).to.include.members(['alliance.db', 'alliance.db-wal', 'alliance.db-shm']);
    for (const name of names) expect(statSync(join(file.directory, name)).mode & 0o777, name).to.equal(0o600);
  });

  it('is opened again with everything in it', async () => {
    await fill();
    expect(await (await file.open()).partners.list()).to.have.length(50);
  });

  it('must be given as sqlite:PATH', async () => {
    for (const url of ['postgres://x', 'sqlite:', 'sqlite::memory:', file.path, ''])
      expect((await rejection(file.open({ url }), 'configuration')).field).to.equal('database.url');
  });

  describe('that cannot be used', () => {
    it('because it is garbage', async () => {
      writeFileSync(file.path, 'This is not a database. '.repeat(1000));
      await refused('database_corrupt');
      refusal(() => checkDatabaseFile(file.path), 'database_corrupt');
    });

    it('because pages of it are overwritten', async () => {
      await fill();
      const bytes = readFileSync(file.path);
      bytes.fill(0xa5, 4096, bytes.length - 4096);
      writeFileSync(file.path, bytes);
      await refused('database_corrupt');
      refusal(() => checkDatabaseFile(file.path), 'database_corrupt');
    });

    it('because its end is missing', async () => {
      await fill();
      truncateSync(file.path, 3 * 4096 + 100);
      await refused('database_corrupt');
      refusal(() => checkDatabaseFile(file.path), 'database_corrupt');
    });

    it('because a newer version wrote it', async () => {
      await fill();
      const raw = new Sqlite(file.path);
      raw.prepare('insert into schema_version (version, applied_at) values (?, 0)').run(migrations.length + 1);
      raw.close();
      await refused('database_newer');
      refusal(() => checkDatabaseFile(file.path), 'database_newer');
    });

    it('because another program owns it', async () => {
      const raw = new Sqlite(file.path);
      raw.exec('create table partners (x)');
      raw.close();
      await refused('configuration');
      refusal(() => checkDatabaseFile(file.path), 'configuration');
    });

    it('because another process keeps it locked', async () => {
      await fill();
      const raw = new Sqlite(file.path);
      raw.pragma('locking_mode = EXCLUSIVE');
      raw.exec('begin exclusive');
      try {
        await refused('database_locked');
      } finally {
        raw.close();
      }
      await file.open();
    });

    it('because it is a directory, or its directory is not there', async () => {
      mkdirSync(join(file.directory, 'folder'));
      await refused('database_read_only', `sqlite:${file.directory}/folder`);
      await refused('database_read_only', `sqlite:${file.directory}/absent/alliance.db`);
      refusal(() => checkDatabaseFile(join(file.directory, 'absent.db')), 'database_read_only');
    });

    for (const [what, mode] of [
      ['it', 0o444],
      ['its directory', 0o555],
    ] as const)
      it(`because ${what} may only be read`, async () => {
        await fill();
        chmodSync(file.directory, 0o755);
        chmodSync(file.path, 0o666);
        chmodSync(mode === 0o444 ? file.path : file.directory, mode);
        await asNobody(() => refused('database_read_only'));
        chmodSync(file.directory, 0o755);
      });
  });

  describe('that becomes unusable while it is open', () => {
    it('gives the same errors as at start', async () => {
      await fill();
      const store = await file.open();
      const bytes = readFileSync(file.path).fill(0xa5, 4096);
      writeFileSync(file.path, bytes);
      const error = await rejection(store.partners.list(), 'database_corrupt');
      expect(error.details).to.contain(file.path);
    });

    it('answers shutting_down once it is closed, also to what had waited', async () => {
      const store = await file.open();
      const pending = store.partners.add(newPartner('east'));
      await store.close();
      expect((await pending).cloudId).to.equal('east');
      await rejection(store.ping(), 'shutting_down');
      await rejection(store.partners.add(newPartner('west')), 'shutting_down');
      await store.close();
    });
  });

  describe('errors', () => {
    const codes: Readonly<Record<string, ErrorName>> = {
      SQLITE_BUSY: 'database_locked',
      SQLITE_BUSY_SNAPSHOT: 'database_locked',
      SQLITE_LOCKED: 'database_locked',
      SQLITE_CORRUPT_INDEX: 'database_corrupt',
      SQLITE_NOTADB: 'database_corrupt',
      SQLITE_IOERR_SHORT_READ: 'database_corrupt',
      SQLITE_READONLY_DBMOVED: 'database_read_only',
      SQLITE_CANTOPEN: 'database_read_only',
      SQLITE_FULL: 'database_read_only',
      SQLITE_IOERR_WRITE: 'database_read_only',
      SQLITE_CONSTRAINT_UNIQUE: 'internal',
    };

    it('have our names, the path, and what SQLite said as their cause', () => {
      for (const [code, name] of Object.entries(codes)) {
        const cause = new Sqlite.SqliteError('no values in here', code);
        const error = mapDatabaseError(cause, '/x/alliance.db');
        expect(error.errorName, code).to.equal(name);
        expect(error.details).to.equal(`/x/alliance.db: ${code}`);
        expect(error.cause).to.equal(cause);
      }
      expect(mapDatabaseError(new TypeError('x'), '/x').errorName).to.equal('internal');
      expect(mapDatabaseError('x', '/x').errorName).to.equal('internal');
    });
  });
});

/** Root may write whatever its mode says, so root does this as nobody. Files need to be reachable for others. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  if (process.geteuid!() !== 0) return work();
  process.seteuid!(65534);
  try {
    await work();
  } finally {
    process.seteuid!(0);
  }
}
