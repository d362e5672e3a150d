/** Rows of executions as what they mean, and back. */
import { syncLimits } from '../core/limits.ts';
import type {
  Execution,
  ExecutionOptions,
  ExecutionRegion,
  ExecutionTask,
  Failure,
  NewExecution,
} from './execution.ts';
import type { ExecutionRegionRow, ExecutionRow, ExecutionTaskRow } from './tables.ts';

type FailureColumns = Pick<ExecutionRow, 'failure_name' | 'failure_reason'>;

export const failureColumns = (failure: Failure | null): FailureColumns => ({
  failure_name: failure?.name ?? null,
  failure_reason: failure?.reason.slice(0, syncLimits.reasonCharacters) ?? null,
});

const toFailure = ({ failure_name: name, failure_reason: reason }: FailureColumns): Failure | null =>
  name === null ? null : { name, reason: reason ?? '' };

export const newRow = (execution: NewExecution, runner: string, now: number): ExecutionRow => ({
  id: execution.id,
  trigger_name: execution.trigger,
  source: execution.source,
  options: JSON.stringify(execution.options),
  state: 'running',
  ...failureColumns(null),
  runner,
  stop_asked: 0,
  started_at: now,
  seen_at: now,
  ended_at: null,
});

export const toExecution = (row: ExecutionRow, regions: readonly string[]): Execution => ({
  id: row.id,
  trigger: row.trigger_name,
  source: row.source,
  regions,
  options: JSON.parse(row.options) as ExecutionOptions,
  state: row.state,
  failure: toFailure(row),
  stopAsked: row.stop_asked === 1,
  runner: row.runner,
  startedAt: row.started_at,
  seenAt: row.seen_at,
  endedAt: row.ended_at,
});

export const toRegion = (row: ExecutionRegionRow): ExecutionRegion => ({
  region: row.region,
  state: row.state,
  failure: toFailure(row),
  endedAt: row.ended_at,
});

export const toTask = (row: ExecutionTaskRow): ExecutionTask => ({
  id: row.id,
  region: row.region,
  position: row.position,
  kind: row.kind,
  name: row.name,
  sourceId: row.source_id,
  imageId: row.image_id,
  totalBytes: row.total_bytes,
  sentBytes: row.sent_bytes,
  state: row.state,
  failure: toFailure(row),
  startedAt: row.started_at,
  endedAt: row.ended_at,
});

export const toTaskRow = (executionId: string, task: ExecutionTask): ExecutionTaskRow => ({
  id: task.id,
  execution_id: executionId,
  region: task.region,
  position: task.position,
  kind: task.kind,
  name: task.name,
  source_id: task.sourceId,
  image_id: task.imageId,
  total_bytes: task.totalBytes,
  sent_bytes: task.sentBytes,
  state: task.state,
  ...failureColumns(task.failure),
  started_at: task.startedAt,
  ended_at: task.endedAt,
});
