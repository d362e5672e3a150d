/** What the database driver throws, in our words. Its messages name tables and columns, never values. */
import Sqlite from 'better-sqlite3';
import { AllianceError } from '../core/errors.ts';
import type { ErrorName } from '../core/errorTable.ts';

/** By the beginning of SQLite's result code; the first that fits counts. */
const names: readonly (readonly [prefix: string, name: ErrorName])[] = [
  ['SQLITE_BUSY', 'database_locked'],
  ['SQLITE_LOCKED', 'database_locked'],
  ['SQLITE_CORRUPT', 'database_corrupt'],
  ['SQLITE_NOTADB', 'database_corrupt'],
  ['SQLITE_IOERR_SHORT_READ', 'database_corrupt'],
  ['SQLITE_IOERR_CORRUPTFS', 'database_corrupt'],
  ['SQLITE_READONLY', 'database_read_only'],
  ['SQLITE_CANTOPEN', 'database_read_only'],
  ['SQLITE_PERM', 'database_read_only'],
  ['SQLITE_FULL', 'database_read_only'],
  ['SQLITE_IOERR', 'database_read_only'],
];

const fileCodes: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'EISDIR', 'ENOSPC']);

/** `path` is the database file, for the details. */
export function mapDatabaseError(thrown: unknown, path: string): AllianceError {
  if (thrown instanceof AllianceError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const known = names.find(([prefix]) => code.startsWith(prefix));
  const name = known?.[1] ?? (fileCodes.has(code) ? 'database_read_only' : 'internal');
  return new AllianceError(name, { details: `${path}: ${code || 'unexpected error'}`, cause: thrown });
}

/** Whether another connection held the lock, so that the same statement may succeed later. */
export const isBusy = (thrown: unknown): boolean =>
  thrown instanceof Sqlite.SqliteError && thrown.code.startsWith('SQLITE_BUSY');
