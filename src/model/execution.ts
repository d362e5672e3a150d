/** Executions: runs of a sync, what they came to in each region, and their tasks, one for each image that is changed. */

/**
 *     running -> done | partly | failed | stopped
 *
 * `stopped`: a guard held it (`sync_stopped`, which an operator may approve), or somebody ended it. One whose process died is
 * `failed` as soon as somebody looks.
 */
export type ExecutionState = 'running' | 'done' | 'partly' | 'failed' | 'stopped';
export type RegionState = 'waiting' | ExecutionState;
/** `skipped`: not tried, since what it needs failed, or since the run ended before. */
export type TaskState = 'waiting' | 'running' | 'done' | 'failed' | 'skipped';
export type TaskKind = 'upload' | 'replace' | 'rename' | 'update' | 'obsolete';

/** Why something did not happen. */
export interface Failure {
  /** Of the table of errors, such as `image_conflict`. */
  readonly name: string;
  /** A sentence or two for people; texts of others in it are not yet printable. */
  readonly reason: string;
}

/** What was asked for, enough to ask for it again. */
export interface ExecutionOptions {
  readonly compat: boolean;
  /** Names of images; null: all that are selected. */
  readonly only: readonly string[] | null;
  readonly parallel: number;
  readonly imagesParallel: number;
  readonly maxBytes: number | null;
  readonly approved: boolean;
}

/** What an execution begins with. */
export interface NewExecution {
  /** A UUID. */
  readonly id: string;
  /** `manual`, `rest`, `policy:NAME`, ... */
  readonly trigger: string;
  /** Name of the region that images come from. */
  readonly source: string;
  readonly regions: readonly string[];
  readonly options: ExecutionOptions;
}

export interface Execution extends NewExecution {
  readonly state: ExecutionState;
  readonly failure: Failure | null;
  /** Somebody, perhaps in another process, wants it to end; its runner looks at this every few seconds. */
  readonly stopAsked: boolean;
  /** The process that runs it, see core/ownProcess.ts. */
  readonly runner: string;
  /** UTC epoch milliseconds. */
  readonly startedAt: number;
  /** When its runner last said that it lives. */
  readonly seenAt: number;
  readonly endedAt: number | null;
}

export interface ExecutionRegion {
  readonly region: string;
  readonly state: RegionState;
  readonly failure: Failure | null;
  readonly endedAt: number | null;
}

export interface ExecutionTask {
  /** A UUID. */
  readonly id: string;
  readonly region: string;
  /** From 0, in the order of the plan of its region. */
  readonly position: number;
  readonly kind: TaskKind;
  /** Of the image. */
  readonly name: string;
  /** Id of the image in the source; null where nothing is sent. */
  readonly sourceId: string | null;
  /** Id of the image in the region; null until there is one. */
  readonly imageId: string | null;
  /** What it sends; 0 where it sends nothing. */
  readonly totalBytes: number;
  /** What it has sent; written down every few seconds. */
  readonly sentBytes: number;
  readonly state: TaskState;
  readonly failure: Failure | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export interface ExecutionFilter {
  readonly states?: readonly ExecutionState[];
  readonly trigger?: string;
  /** Only those that have this region among theirs. */
  readonly region?: string;
  /** The newest so many. */
  readonly limit?: number;
}

/** Times are UTC epoch milliseconds. Each call is a transaction of its own. */
export interface Executions {
  /** @throws AllianceError bad_request where there is one of that id. */
  begin(execution: NewExecution): Promise<void>;
  /** Says that its runner lives; true where somebody asked it to stop. */
  touch(id: string): Promise<boolean>;
  setRegion(id: string, region: string, state: RegionState, failure: Failure | null): Promise<void>;
  /** The tasks of one region, as planned. */
  addTasks(id: string, tasks: readonly ExecutionTask[]): Promise<void>;
  setTask(id: string, task: ExecutionTask): Promise<void>;
  /** Nothing happens if it has ended already. Tasks and regions that are still open fail or are skipped with it. */
  end(id: string, state: Exclude<ExecutionState, 'running'>, failure: Failure | null): Promise<void>;
  /** False where it does not run. */
  askToStop(id: string): Promise<boolean>;
  get(id: string): Promise<Execution | null>;
  /** Newest first. */
  list(filter?: ExecutionFilter): Promise<readonly Execution[]>;
  /** In the order of the request. */
  regions(id: string): Promise<readonly ExecutionRegion[]>;
  /** In the order of the regions and their plans. */
  tasks(id: string): Promise<readonly ExecutionTask[]>;
  /** False where there is none that has ended. */
  delete(id: string): Promise<boolean>;
  /** Ends those as failed whose runner has been silent for too long; returns their ids. */
  endBroken(now: number): Promise<readonly string[]>;
  /** Forgets the oldest of those that have ended. */
  prune(now: number): Promise<void>;
}
