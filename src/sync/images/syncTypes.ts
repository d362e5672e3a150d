/** What a sync is asked for, what it tells while it runs, and what it came to. */
import type { ImageStore } from '../../lproxy/imageStore.ts';
import type { ExecutionState, ExecutionTask, Failure, RegionState } from '../../model/execution.ts';
import type { Bandwidth } from '../transfer/bandwidth.ts';
import type { RegionPlan } from './plan.ts';
import type { Target } from './target.ts';

/** One end of a sync. */
export interface End {
  /** As it is shown and as commands name it: `Burgos`, `other:Madrid`, `east:RegionOne`. */
  readonly name: string;
  /**
   * The same for the same place in every run, and another for every other place, however they are named: such as the URL of the
   * Glance and the project, or the cloud_id of a partner and its region. What is left unfinished is found again by it.
   */
  readonly key: string;
  readonly store: ImageStore;
  /** Id of the project that images belong to there if they are ours. */
  readonly projectId: string;
}

export interface RegionEnd extends End {
  readonly target: Target;
  /** Names of images; absent or null: as the request says. */
  readonly only?: ReadonlySet<string> | null;
  /** The project here that stands for one of the source, for members of shared images; null or absent: the member is dropped, and told. */
  readonly mapMember?: (projectId: string) => string | null;
}

export interface SyncRequest {
  /** A UUID; absent: a new one. */
  readonly executionId?: string;
  readonly master: End;
  /** Each `key` once. */
  readonly regions: readonly RegionEnd[];
  readonly compat: boolean;
  /** Regions at a time. */
  readonly parallel: number;
  /** Images at a time in each region. */
  readonly imagesParallel: number;
  /** Of all transfers together; null: no limit. */
  readonly bytesPerS: Bandwidth | null;
  /** What the run sends at most; images that do not fit any more are skipped. Null: no limit. */
  readonly maxBytes: number | null;
  /** Names of images, which bring along what they need; null: all that are selected. */
  readonly only: ReadonlySet<string> | null;
  /** Somebody looked at what guards stop. */
  readonly approved: boolean;
  /** `manual`, `rest`, `policy:NAME`, ... */
  readonly trigger: string;
  readonly signal?: AbortSignal;
  /** Called in order, at once; if it throws, the run ends. */
  readonly onEvent?: (event: SyncEvent) => void;
}

/** As the database has it; each event brings a new one. */
export type SyncTask = ExecutionTask;

export type SyncEvent =
  | { readonly kind: 'started'; readonly executionId: string; readonly regions: readonly string[] }
  /** What an earlier run left unfinished was looked at. */
  | { readonly kind: 'recovered'; readonly region: string; readonly recovery: Recovery }
  | {
      readonly kind: 'region_planned';
      readonly region: string;
      readonly plan: RegionPlan;
      readonly tasks: readonly SyncTask[];
    }
  | {
      readonly kind: 'region_ended';
      readonly region: string;
      readonly state: RegionState;
      readonly failure: Failure | null;
    }
  | { readonly kind: 'task_started'; readonly region: string; readonly task: SyncTask }
  /** At most a few times a second for each task. After a failed attempt `sentBytes` begins at 0 again. */
  | { readonly kind: 'task_progress'; readonly region: string; readonly task: SyncTask }
  /** It is done, failed or skipped; `failure` says why. */
  | { readonly kind: 'task_ended'; readonly region: string; readonly task: SyncTask }
  /** What an operator should know and nobody mends, such as a member that was dropped. */
  | { readonly kind: 'note'; readonly region: string; readonly name: string; readonly text: string }
  | { readonly kind: 'ended'; readonly report: SyncReport };

/** What became of an image that an earlier run was sending. */
export interface Recovery {
  readonly name: string;
  /** Of the image in the region. */
  readonly imageId: string;
  /** `left`: its state could not be learned or changed now; the next run looks again. */
  readonly outcome: 'completed' | 'removed' | 'gone' | 'left';
  readonly reason: string;
}

export interface RegionReport {
  readonly region: string;
  readonly state: RegionState;
  /** Null where it could not be made. */
  readonly plan: RegionPlan | null;
  readonly tasks: readonly SyncTask[];
  readonly recovered: readonly Recovery[];
  readonly notes: readonly { readonly name: string; readonly text: string }[];
  readonly failure: Failure | null;
}

export interface SyncReport {
  readonly executionId: string;
  /**
   * `done`: all was done that the plans say. `partly`: some of it. `failed`: nothing. `stopped`: guards held all of it (`sync_stopped`),
   * or somebody ended it.
   */
  readonly state: Exclude<ExecutionState, 'running'>;
  readonly failure: Failure | null;
  readonly regions: readonly RegionReport[];
  /** Bytes that were read for images, repeated ones included. */
  readonly sentBytes: number;
  readonly startedAt: number;
  readonly endedAt: number;
}
