/** What is remembered of policies (`images.policies`), which the configuration names: whether they are switched off, when they ran, what they wait for. */

/** Why a run is due. */
export type DueReason = 'manual' | 'cron' | 'event';

export interface PolicyState {
  readonly name: string;
  readonly disabled: boolean;
  /** What `seenTill` is about: trigger and zone as they were then. */
  readonly trigger: string;
  /** Up to here times of the trigger, or images of the source, were looked at. UTC epoch milliseconds, as are all times. */
  readonly seenTill: number;
  /** A run is due, and nobody has begun it. */
  readonly due: { readonly since: number; readonly reason: DueReason } | null;
  /** Id of an execution. */
  readonly lastExecution: string | null;
  /** When a run was due while one was active, and was left out. */
  readonly skippedAt: number | null;
}

/** How an image looked: ids and what stands for all that a sync would see of it. */
export type Baseline = ReadonlyMap<string, string>;

/** Each call is a transaction of its own. */
export interface Policies {
  list(): Promise<readonly PolicyState[]>;
  get(name: string): Promise<PolicyState | null>;
  /** What was due before is not any more, and what comes to pass while it is switched off makes nothing due. */
  setDisabled(name: string, disabled: boolean): Promise<void>;
  /** A trigger that is new, or another one: it counts from `now` on, and nothing is known of images. */
  begin(name: string, trigger: string, now: number): Promise<void>;
  /** False where somebody else has got further: then nothing is written. */
  seen(name: string, from: number, till: number, due: DueReason | null): Promise<boolean>;
  /** Nothing changes where a run is due already. */
  ask(name: string, reason: DueReason, now: number): Promise<void>;
  skipped(name: string, now: number): Promise<void>;
  /** Of several callers one gets it. Null: no run is due, or it is switched off and nobody asked for it. */
  take(name: string): Promise<DueReason | null>;
  started(name: string, executionId: string): Promise<void>;
  /** Null where the images were not looked at yet. */
  baseline(name: string): Promise<Baseline | null>;
  /** `due`: a run is due because of it, in the same transaction. */
  setBaseline(name: string, next: Baseline, due: boolean, now: number): Promise<void>;
  /** Forgets those that are none of `names` and were last seen before that time, unless they are switched off. */
  retain(names: readonly string[], before: number): Promise<void>;
}
