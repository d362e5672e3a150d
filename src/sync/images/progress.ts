/** What happens in a run, as rows for those who look later and as events for those who look now. */

import type { Clock } from '../../core/clock.ts';
import { monotonic } from '../../core/clock.ts';
import { toAllianceError } from '../../core/errors.ts';
import { syncLimits, transferLimits } from '../../core/limits.ts';
import type { Executions, Failure, RegionState, TaskState } from '../../model/execution.ts';
import type { SyncEvent, SyncTask } from './syncTypes.ts';

export const failureOf = (thrown: unknown): Failure => {
  const { errorName: name, message: reason } = toAllianceError(thrown);
  return { name, reason };
};

export interface ProgressOptions {
  readonly executionId: string;
  readonly executions: Executions;
  readonly clock: Clock;
  readonly emit: (event: SyncEvent) => void;
}

/** Of one region. */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #region: string;
  readonly #tasks = new Map<string, SyncTask>();
  readonly #told = new Map<string, { emittedAt: number; storedAt: number }>();
  readonly notes: { readonly name: string; readonly text: string }[] = [];

  constructor(region: string, options: ProgressOptions) {
    this.#region = region;
    this.#options = options;
  }

  get tasks(): SyncTask[] {
    return [...this.#tasks.values()];
  }

  note(name: string, text: string): void {
    this.notes.push({ name, text });
    this.#options.emit({ kind: 'note', region: this.#region, name, text });
  }

  async planned(tasks: readonly SyncTask[]): Promise<void> {
    for (const task of tasks) this.#tasks.set(task.id, task);
    await this.#options.executions.addTasks(this.#options.executionId, tasks);
  }

  async began(id: string): Promise<void> {
    const { clock, emit } = this.#options;
    const task = this.#set(id, { state: 'running', startedAt: clock.now() });
    await this.#store(task);
    emit({ kind: 'task_started', region: this.#region, task });
  }

  /** Cheap: tells and stores only now and then. */
  moved(id: string, change: Partial<Pick<SyncTask, 'sentBytes' | 'imageId'>>): void {
    const task = this.#set(id, change);
    const { clock, emit } = this.#options;
    const now = monotonic(clock);
    const told = this.#told.get(id) ?? { emittedAt: Number.NEGATIVE_INFINITY, storedAt: now };
    this.#told.set(id, told);
    if (now - told.emittedAt >= transferLimits.progressMs) {
      told.emittedAt = now;
      emit({ kind: 'task_progress', region: this.#region, task });
    }
    if (now - told.storedAt < syncLimits.touchMs) return;
    told.storedAt = now;
    // Of no weight: the end of the task is written down in any case.
    void this.#store(task).catch(() => undefined);
  }

  async ended(
    id: string,
    state: Exclude<TaskState, 'waiting' | 'running'>,
    failure: Failure | null = null,
  ): Promise<void> {
    const task = this.#set(id, { state, failure, endedAt: this.#options.clock.now() });
    await this.#store(task);
    this.#options.emit({ kind: 'task_ended', region: this.#region, task });
  }

  async region(state: RegionState, failure: Failure | null = null): Promise<void> {
    const { executions, executionId } = this.#options;
    await executions.setRegion(executionId, this.#region, state, failure);
  }

  #set(id: string, change: Partial<SyncTask>): SyncTask {
    const task = { ...this.#tasks.get(id)!, ...change };
    this.#tasks.set(id, task);
    return task;
  }

  readonly #store = (task: SyncTask): Promise<void> =>
    this.#options.executions.setTask(this.#options.executionId, task);
}
