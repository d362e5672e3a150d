/**
 * Opening, checking and copying the SQLite file. All that knows the engine is here and in sqliteDriver.ts; the rest of the model is
 * portable SQL. Two connections: in WAL mode a reader never waits for a writer, so health and trust can be read while another
 * process holds the write lock.
 */
import { chmodSync, closeSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import Sqlite, { type Database as SqliteDatabase } from 'better-sqlite3';
import { type Driver, Kysely, sql, type Transaction } from 'kysely';
import { AllianceError } from '../core/errors.ts';
import { storeLimits } from '../core/limits.ts';
import { mapDatabaseError } from './databaseError.ts';
import { migrations } from './migrations/index.ts';
import { type Durability, retryWhileBusy, SqliteDriver, sqliteDialect } from './sqliteDriver.ts';
import type { Tables } from './tables.ts';

export interface Database {
  readonly reader: Kysely<Tables>;
  /** For changes of one statement. */
  readonly writer: Kysely<Tables>;
  /** For changes that read first or take more than one statement: the write lock is held from the beginning. */
  write<T>(work: (trx: Transaction<Tables>) => Promise<T>): Promise<T>;
  /**
   * The same database, for changes of which a power failure may take the last second: sessions, replays, leases, notes of the last
   * contact. Losing them costs a handshake at most; a ticket that is replayed then gives nothing away, since its session key needs a
   * private key that was never stored. All else is written to the disk before its commit returns: a revocation must not come undone,
   * nor an own key be forgotten that partners were told. An fsync there is rare, and on every handshake it would be the bottleneck.
   */
  readonly light: Database;
  backup(file: string): Promise<void>;
  close(): Promise<void>;
}

/** "ALLI", so that no other program's file is taken for ours. */
const applicationId = 0x414c4c49;

/** `url` is `sqlite:PATH`. Throws database_corrupt, database_read_only, database_locked, database_newer or configuration. */
export async function openDatabase(
  url: string,
  { now, busyTimeoutMs }: { now: number; busyTimeoutMs: number },
): Promise<Database> {
  const path = sqlitePath(url);
  const deadline = performance.now() + busyTimeoutMs;
  const connections: SqliteDatabase[] = [];
  try {
    createPrivately(path);
    for (const _ of ['writer', 'reader']) {
      const connection = new Sqlite(path, { timeout: 0 });
      connections.push(connection);
      await retryWhileBusy(() => configure(connection), deadline);
    }
    const [writable, readable] = connections as [SqliteDatabase, SqliteDatabase];
    readable.pragma('query_only = ON');
    await retryWhileBusy(() => check(writable, statSync(path).size <= storeLimits.checkAtOpenBytes), deadline);
    return await assemble(writable, readable, { now, busyTimeoutMs });
  } catch (error) {
    for (const connection of connections) connection.close();
    throw mapDatabaseError(error, path);
  }
}

async function assemble(
  writable: SqliteDatabase,
  readable: SqliteDatabase,
  { now, busyTimeoutMs }: { now: number; busyTimeoutMs: number },
): Promise<Database> {
  const [forWrites, forReads] = [writable, readable].map((each) => new SqliteDriver(each, busyTimeoutMs)) as [
    SqliteDriver,
    SqliteDriver,
  ];
  const kysely = (driver: Driver) => new Kysely<Tables>({ dialect: sqliteDialect(driver) });
  const writing = (durability: Durability): Pick<Database, 'writer' | 'write'> => {
    const writer = kysely(forWrites.withDurability(durability));
    return { writer, write: (work) => writer.transaction().execute(work) };
  };
  const common = {
    reader: kysely(forReads),
    backup: (file: string) => backup(readable, file),
    // Not through Kysely, which would answer later calls with an error of its own instead of shutting_down.
    close: async () => {
      await forWrites.destroy();
      await forReads.destroy();
    },
  };
  const light: Database = {
    ...common,
    ...writing('NORMAL'),
    get light() {
      return light;
    },
  };
  const database: Database = { ...common, ...writing('FULL'), light };
  await database.write((trx) => migrate(trx, writable.name, now));
  return database;
}

/** In one transaction that holds the write lock, so that of two processes that start at once the second finds the work done. */
async function migrate(trx: Transaction<Tables>, path: string, now: number): Promise<void> {
  await trx.schema
    .createTable('schema_version')
    .ifNotExists()
    .addColumn('version', 'integer', (c) => c.primaryKey().notNull())
    .addColumn('applied_at', 'bigint', (c) => c.notNull())
    .execute();
  const row = await trx
    .selectFrom('schema_version')
    .select(sql<number | null>`max(version)`.as('version'))
    .executeTakeFirst();
  const version = row?.version ?? 0;
  refuseNewer(version, path);

  for (const [index, up] of migrations.entries()) {
    if (index < version) continue;
    await up(trx, { binary: 'blob' });
    await trx
      .insertInto('schema_version')
      .values({ version: index + 1, applied_at: now })
      .execute();
  }
  if (version === 0) await sql.raw(`pragma application_id = ${applicationId}`).execute(trx);
  // Changes nothing, but fails now rather than later where the file cannot be written.
  else await trx.updateTable('schema_version').set({ version }).where('version', '=', version).execute();
}

function refuseNewer(version: number, path: string): void {
  if (version > migrations.length)
    throw new AllianceError('database_newer', {
      details: `${path} has schema ${version}, this version knows ${migrations.length}.`,
    });
}

function configure(connection: SqliteDatabase): void {
  connection.pragma('journal_mode = WAL');
  connection.pragma('foreign_keys = ON');
  connection.pragma('secure_delete = ON');
  connection.pragma('trusted_schema = OFF');
  connection.pragma('cell_size_check = ON');
}

/** Whether this is one of our databases, and whole. `thoroughly` reads it through. */
function check(connection: SqliteDatabase, thoroughly: boolean): void {
  const path = connection.name;
  const owner = connection.pragma('application_id', { simple: true });
  const tables = connection.prepare('select count(*) from sqlite_master').pluck().get() as number;
  if (tables > 0 && owner !== applicationId)
    throw new AllianceError('configuration', { field: 'database.url', details: `${path} belongs to another program.` });
  if (!thoroughly) return;
  const verdict = connection.pragma('quick_check(1)', { simple: true });
  if (verdict !== 'ok') throw new AllianceError('database_corrupt', { details: `${path}: ${verdict}` });
}

/**
 * Before a restore: throws database_corrupt, database_newer, database_read_only (absent) or configuration (another program's).
 * Returns the version of its schema.
 */
export function checkDatabaseFile(path: string): number {
  let connection: SqliteDatabase | undefined;
  try {
    connection = new Sqlite(path, { readonly: true, fileMustExist: true });
    check(connection, true);
    const integrity = connection.pragma('integrity_check(1)', { simple: true });
    const orphans = connection.pragma('foreign_key_check') as unknown[];
    if (integrity !== 'ok' || orphans.length > 0)
      throw new AllianceError('database_corrupt', {
        details: `${path}: ${orphans.length > 0 ? 'orphans' : integrity}`,
      });
    const version = readVersion(connection);
    refuseNewer(version, path);
    return version;
  } catch (error) {
    throw mapDatabaseError(error, path);
  } finally {
    connection?.close();
  }
}

function readVersion(connection: SqliteDatabase): number {
  const present = connection.prepare("select 1 from sqlite_master where name = 'schema_version'").get();
  const version = present && connection.prepare('select max(version) from schema_version').pluck().get();
  if (typeof version !== 'number')
    throw new AllianceError('database_corrupt', { details: `${connection.name} holds no Alliance database.` });
  return version;
}

async function backup(connection: SqliteDatabase, file: string): Promise<void> {
  const partial = `${file}.partial`;
  try {
    rmSync(partial, { force: true });
    createPrivately(partial);
    // All pages in one step: a copy in several begins anew with every write of another connection, and may never end.
    await connection.backup(partial, { progress: () => 2 ** 31 - 1 });
    // The copy is one file without a log beside it, whatever it is copied to.
    const copy = new Sqlite(partial);
    copy.pragma('journal_mode = DELETE');
    copy.close();
    chmodSync(partial, 0o600);
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw mapDatabaseError(error, file);
  }
}

function sqlitePath(url: string): string {
  const path = url.startsWith('sqlite:') ? url.slice('sqlite:'.length) : '';
  if (path === '' || path.startsWith(':'))
    throw new AllianceError('configuration', { field: 'database.url', details: 'database.url must be sqlite:PATH.' });
  return path;
}

/** What the database takes on the disk, what is written and not yet in its place included. */
export const databaseBytes = (url: string): number =>
  ['', '-wal'].reduce((sum, end) => sum + (statSync(sqlitePath(url) + end, { throwIfNoEntry: false })?.size ?? 0), 0);

/**
 * Only a file that is not there yet is opened: closing a second descriptor of a database would drop the locks that this process
 * holds on it (POSIX). The log files of SQLite take over its mode.
 */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
