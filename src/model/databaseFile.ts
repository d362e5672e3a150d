/** The database as a file: whether it is still the one that was opened, and a look into one that this process has not open. */
import { statSync } from 'node:fs';
import Sqlite, { type Database as SqliteDatabase } from 'better-sqlite3';
import { Kysely } from 'kysely';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { storeLimits } from '../core/limits.ts';
import { mapDatabaseError } from './databaseError.ts';
import { SqliteDriver, sqliteDialect } from './sqliteDriver.ts';
import type { Tables } from './tables.ts';

/**
 * Returns a check that throws database_replaced once the file at `path` is gone or another one. The connection stays with the old
 * file then: it goes on to answer, and what it is told is lost.
 */
export function watchFile(path: string): () => void {
  const opened = fileAt(path);
  return () => {
    if (fileAt(path) !== opened) throw new AllianceError('database_replaced', { details: `${path}.` });
  };
}

/** What tells a file from another at the same place. Nothing is opened: closing a descriptor would drop SQLite's locks (POSIX). */
function fileAt(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    return errnoOf(error);
  }
}

/** Reads a file of a database without changing it. Throws like openDatabase. */
export async function readDatabaseFile<T>(path: string, work: (reader: Kysely<Tables>) => Promise<T>): Promise<T> {
  let connection: SqliteDatabase | undefined;
  try {
    connection = new Sqlite(path, { readonly: true, fileMustExist: true });
    const driver = new SqliteDriver(connection, storeLimits.busyTimeoutMs);
    return await work(new Kysely<Tables>({ dialect: sqliteDialect(driver) }));
  } catch (error) {
    throw mapDatabaseError(error, path);
  } finally {
    connection?.close();
  }
}
