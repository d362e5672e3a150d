/**
 * Kysely's driver over one better-sqlite3 connection. Its own, because Kysely's begins deferred transactions, which two processes
 * that read and then write can deadlock on, prepares every statement anew, and lets SQLite's busy handler stop the whole event
 * loop while another process holds the lock.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database as SqliteDatabase, Statement } from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { Bounded } from '../core/bounded.ts';
import { AllianceError } from '../core/errors.ts';
import { storeLimits } from '../core/limits.ts';
import { isBusy, mapDatabaseError } from './databaseError.ts';

export function sqliteDialect(driver: Driver): Dialect {
  return {
    createDriver: () => driver,
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
  };
}

/** Runs `work` again while another connection holds the lock, without stopping the event loop; at least once, then until `deadline`. */
export async function retryWhileBusy<T>(work: () => T, deadline: number): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error;
      // Jitter, so that two processes do not keep meeting.
      await sleep(Math.min(attempt, storeLimits.busyPauseMs) * (0.5 + Math.random()));
    }
  }
}

/** FULL: what is committed outlives a power failure, at the price of an fsync. NORMAL: it outlives a crash of the process. */
export type Durability = 'FULL' | 'NORMAL';

export class SqliteDriver implements Driver {
  readonly #db: SqliteDatabase;
  readonly #busyTimeoutMs: number;
  #durability: Durability | undefined;
  readonly #statements = new Bounded<Statement>(storeLimits.preparedStatements);
  /** Settles when the one connection is free. */
  #free: Promise<void> = Promise.resolve();
  readonly #releases = new WeakMap<DatabaseConnection, () => void>();

  constructor(db: SqliteDatabase, busyTimeoutMs: number) {
    this.#db = db;
    this.#busyTimeoutMs = busyTimeoutMs;
  }

  async init(): Promise<void> {}

  /** The wait for the lock counts from here, so that many queued writers fail together and not one after the other. */
  async acquireConnection(durability: Durability = 'FULL'): Promise<DatabaseConnection> {
    const deadline = performance.now() + this.#busyTimeoutMs;
    const before = this.#free;
    let release = (): void => {};
    this.#free = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    try {
      await retryWhileBusy(() => this.#become(durability), deadline);
    } catch (error) {
      release();
      throw mapDatabaseError(error, this.#db.name);
    }
    const connection = new SqliteConnection(this.#db, this.#statements, deadline);
    this.#releases.set(connection, release);
    return connection;
  }

  /** Between transactions only; and not as a prepared statement, for SQLite obeys this pragma when it is prepared. */
  #become(durability: Durability): void {
    if (durability === this.#durability || !this.#db.open) return;
    this.#db.pragma(`synchronous = ${durability}`);
    this.#durability = durability;
  }

  /** The same connection, whose users take turns with those of the driver itself. */
  withDurability(durability: Durability): Driver {
    return {
      init: () => this.init(),
      acquireConnection: () => this.acquireConnection(durability),
      releaseConnection: (connection) => this.releaseConnection(connection),
      beginTransaction: (connection) => this.beginTransaction(connection),
      commitTransaction: (connection) => this.commitTransaction(connection),
      rollbackTransaction: (connection) => this.rollbackTransaction(connection),
      destroy: () => this.destroy(),
    };
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    this.#releases.get(connection)?.();
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  /** SQLite ends the transaction by itself after some errors, such as a full disk. */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#db.inTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  /** What was asked for before still happens. */
  async destroy(): Promise<void> {
    await this.#free;
    this.#statements.clear();
    this.#db.close();
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #db: SqliteDatabase;
  readonly #statements: Bounded<Statement>;
  readonly #deadline: number;

  constructor(db: SqliteDatabase, statements: Bounded<Statement>, deadline: number) {
    this.#db = db;
    this.#statements = statements;
    this.#deadline = deadline;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    if (!this.#db.open) throw new AllianceError('shutting_down', { details: 'The store is closed.' });
    try {
      // Within a transaction the lock is held already, and half of it cannot be tried again.
      if (this.#db.inTransaction) return this.#execute<R>(sql, parameters);
      return await retryWhileBusy(() => this.#execute<R>(sql, parameters), this.#deadline);
    } catch (error) {
      throw mapDatabaseError(error, this.#db.name);
    }
  }

  // biome-ignore lint/correctness/useYield: Kysely's interface has it; nothing here streams.
  async *streamQuery(): AsyncGenerator<never> {
    throw new AllianceError('internal', { details: 'Streaming queries are not used.' });
  }

  #execute<R>(sql: string, parameters: readonly unknown[]): QueryResult<R> {
    const statement = this.#prepare(sql);
    if (statement.reader) return { rows: statement.all(parameters) as R[] };
    return { numAffectedRows: BigInt(statement.run(parameters).changes), rows: [] };
  }

  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
