/**
 * The one error class of the house. `details` (field names, states, never secrets) is for log and terminal, `cause` for the log; what a
 * partner sees is in the table of codes.
 */
import { type ErrorEntry, type ErrorName, errorTable } from './errorTable.ts';

export interface ErrorOptions {
  /** What exactly, for our own log and terminal. Never a secret. */
  readonly details?: string;
  readonly cause?: unknown;
  /** Where the error names a field: its path in the request or the configuration. */
  readonly field?: string;
  readonly requestId?: string;
  readonly retryAfterMs?: number;
  /** True when a partner's broker raised it, so that it is not mistaken for ours. */
  readonly remote?: boolean;
  /** Overrides the table, for errors that a partner raised. */
  readonly retryable?: boolean;
  /** Overrides the table, where the place of the error knows a better one. */
  readonly remedy?: string;
  /** The number that a partner sent, also where it is none of ours and `code` is that of `internal`. */
  readonly remoteCode?: number;
}

export class AllianceError extends Error {
  readonly code: number;
  readonly details: string | undefined;
  readonly field: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly remote: boolean;
  readonly retryable: boolean;
  readonly remoteCode: number | undefined;
  readonly remedy: string;
  readonly entry: ErrorEntry;
  readonly errorName: ErrorName;

  constructor(name: ErrorName, options: ErrorOptions = {}) {
    const row = errorTable.get(name)!;
    super(options.details ? `${row.publicMessage} ${options.details}` : row.publicMessage, { cause: options.cause });
    this.name = 'AllianceError';
    this.errorName = name;
    this.entry = row;
    this.code = row.code;
    this.details = options.details;
    this.field = options.field;
    this.requestId = options.requestId;
    this.retryAfterMs = options.retryAfterMs;
    this.remote = options.remote ?? false;
    this.retryable = options.retryable ?? row.retryable;
    this.remoteCode = options.remoteCode;
    this.remedy = options.remedy ?? row.remedy;
  }
}

/** Whatever was thrown, as an AllianceError; what is none of ours becomes `internal` with it as its cause. */
export function toAllianceError(thrown: unknown): AllianceError {
  return thrown instanceof AllianceError ? thrown : new AllianceError('internal', { cause: thrown });
}
