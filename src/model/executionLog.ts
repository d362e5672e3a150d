/** What an execution told while it ran, line by line. */

export type LogLevel = 'info' | 'warn' | 'error';

export interface NewLogLine {
  /** UTC epoch milliseconds. */
  readonly at: number;
  readonly level: LogLevel;
  /** Null: about the whole execution. */
  readonly region: string | null;
  /** Name of an image; null: about the region. */
  readonly image: string | null;
  /** For people; texts of others in it are not yet printable. */
  readonly text: string;
}

export interface LogLine extends NewLogLine {
  /** From 1, without gaps. */
  readonly position: number;
}

export interface ExecutionLog {
  /** What is more than `imagePolicyLimits.logLines` is left out. */
  append(executionId: string, lines: readonly NewLogLine[]): Promise<void>;
  /** The first lines behind a position, at most `imagePolicyLimits.logPageLines`. */
  read(executionId: string, after: number): Promise<readonly LogLine[]>;
  /** Forgets those of executions that are forgotten. */
  prune(): Promise<void>;
}
