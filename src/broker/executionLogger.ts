/** Writes down what a sync tells, a few lines at a time; what cannot be written is no reason to end it. */
import { toAllianceError } from '../core/errors.ts';
import { imagePolicyLimits } from '../core/limits.ts';
import type { NewLogLine } from '../model/executionLog.ts';
import { linesOf } from '../sync/images/eventLines.ts';
import type { SyncEvent } from '../sync/images/syncTypes.ts';
import type { Installation } from './installation.ts';

type Tools = Pick<Installation, 'store' | 'clock' | 'log'>;

export class ExecutionLogger {
  readonly #tools: Tools;
  readonly #executionId: string;
  #lines: NewLogLine[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(tools: Tools, executionId: string) {
    this.#tools = tools;
    this.#executionId = executionId;
  }

  take(event: SyncEvent): void {
    this.#lines.push(...linesOf(event, this.#tools.clock.now()));
    if (this.#lines.length >= imagePolicyLimits.logFlushLines) this.#flush();
    else if (this.#lines.length > 0)
      this.#timer ??= setTimeout(() => this.#flush(), imagePolicyLimits.logFlushMs).unref();
  }

  /** Resolves when all of it is written. */
  async close(): Promise<void> {
    this.#flush();
    await this.#writing;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length === 0) return;
    const { store, log } = this.#tools;
    this.#writing = this.#writing
      .then(() => store.executionLog.append(this.#executionId, lines))
      .catch((thrown: unknown) =>
        log.warn({ err: toAllianceError(thrown), execution: this.#executionId }, 'A log of a sync cannot be written.'),
      );
  }
}
